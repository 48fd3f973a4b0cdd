"""Who has an address and port that several Services ask for."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.plan.frontend import Frontend, FrontendKey
from proxy.plan.frontend_claims import FrontendClaims


def claim(service: str, port: int = 80, pool: str = "p") -> Frontend:
    return Frontend(FrontendKey("TCP", "127.0.0.1", port), pool, service, "ClusterIP")


KEY = claim("a").key


def test_nobody_owns_what_nobody_claims() -> None:
    claims = FrontendClaims()
    assert claims.owner(KEY) is None
    claims.replace("a", (), [claim("a")])
    claims.replace("a", [claim("a")], ())
    assert claims.owner(KEY) is None


def test_the_first_claim_holds_and_the_second_takes_over_on_release() -> None:
    claims = FrontendClaims()
    claims.replace("b", (), [claim("b")])
    claims.replace("a", (), [claim("a")])
    assert claims.owner(KEY) == claim("b")
    assert list(claims.refused()) == [(claim("a"), claim("b"))]
    claims.replace("b", [claim("b")], ())
    assert claims.owner(KEY) == claim("a")
    assert not list(claims.refused())


def test_a_changed_claim_keeps_its_place() -> None:
    claims = FrontendClaims()
    claims.replace("a", (), [claim("a")])
    claims.replace("b", (), [claim("b")])
    claims.replace("a", [claim("a")], [claim("a", pool="q")])
    assert claims.owner(KEY) == claim("a", pool="q")


ports = st.frozensets(st.integers(1, 3))


@given(st.lists(st.tuples(st.sampled_from("abc"), ports, st.sampled_from("pq"))))
def test_agrees_with_a_queue_for_every_port(steps: list[tuple[str, frozenset[int], str]]) -> None:
    claims, made = FrontendClaims(), {name: list[Frontend]() for name in "abc"}
    queues: dict[int, list[str]] = {1: [], 2: [], 3: []}
    for name, wanted, pool in steps:
        after = [claim(name, port, pool) for port in wanted]
        claims.replace(name, made[name], after)
        made[name] = after
        for port, queue in queues.items():
            if port in wanted and name not in queue:
                queue.append(name)
            elif port not in wanted and name in queue:
                queue.remove(name)
    owners = {port: claims.owner(claim("a", port).key) for port in queues}
    assert {port: owner.service if owner else None for port, owner in owners.items()} == {
        port: queue[0] if queue else None for port, queue in queues.items()
    }
    assert all(owner is None or owner in made[owner.service] for owner in owners.values())
    assert len(list(claims.refused())) == sum(max(len(queue) - 1, 0) for queue in queues.values())
