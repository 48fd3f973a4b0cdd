"""Which Services a Pod's weight matters to."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.plan.frontend import Pool, Target
from proxy.plan.pod_users import PodUsers


def pool(*pods: str) -> Pool:
    targets = tuple(Target(f"10.0.0.{i}", 80, 1, pod) for i, pod in enumerate(pods))
    return Pool("p", "default/myapp", "", "TCP", "rr", "p", 0, 5.0, 0.0, targets)


def test_a_pod_of_two_pools_of_one_service_counts_once() -> None:
    users = PodUsers()
    users.replace(("default", "a"), (), [pool("x"), pool("x", "y")])
    assert users.of(("default", "x")) == (("default", "a"),)
    users.replace(("default", "a"), [pool("x"), pool("x", "y")], [pool("y")])
    assert users.of(("default", "x")) == ()
    assert users.of(("default", "y")) == (("default", "a"),)


def test_a_target_without_pod_has_no_user() -> None:
    users = PodUsers()
    users.replace(("default", "a"), (), [pool("")])
    assert users.of(("default", "")) == ()


@given(st.lists(st.tuples(st.sampled_from("abc"), st.frozensets(st.sampled_from("xyz")))))
def test_agrees_with_a_plain_scan(history: list[tuple[str, frozenset[str]]]) -> None:
    users, pools = PodUsers(), dict[str, Pool]()
    for service, pods in history:
        before = [pools[service]] if service in pools else []
        pools[service] = pool(*sorted(pods))
        users.replace(("default", service), before, [pools[service]])
    for pod in "xyz":
        expected = {("default", name) for name, each in pools.items() if pod in [t.pod for t in each.targets]}
        assert set(users.of(("default", pod))) == expected
