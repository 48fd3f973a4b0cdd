"""What changed of late, from deltas of the plan."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool, Target
from proxy.reports.recent_changes import CAPACITY, RecentChanges

NOW = "2026-03-01T00:00:00.000+00:00"


def pool(*targets: Target, service: str = "default/shop", **fields: object) -> Pool:
    key = f"{service}:http/TCP/IPv4"
    return replace(Pool(key, service, "http", "TCP", "rr", key, 0, 5.0, 0.0, targets), **fields)


def frontend(
    address: str = "10.0.0.1", port: int = 80, service: str = "default/shop", kind: str = "ClusterIP"
) -> Frontend:
    return Frontend(FrontendKey("TCP", address, port), f"{service}:http/TCP/IPv4", service, kind, "refuse")


def told(*deltas: Delta) -> list[tuple[str, str, str]]:
    """What is said of the last of some deltas."""
    changes = RecentChanges()
    for delta in deltas[:-1]:
        changes.record(delta, NOW)
    before = changes.last
    changes.record(deltas[-1], NOW)
    return [(each.service, each.kind, each.message) for each in changes.since(before)]


A, B = Target("10.1.0.1", 8080, 1, "pod-a"), Target("10.1.0.2", 8080)
FIRST = Delta((pool(A),), (frontend(),))


def test_a_new_service_is_told_with_its_addresses() -> None:
    delta = Delta((pool(A),), (frontend(), frontend("::", 30080, kind="NodePort")))
    assert told(delta) == [
        ("default/shop", "ServiceAdded", "served on ClusterIP 10.0.0.1:80/TCP, NodePort [::]:30080/TCP")
    ]


def test_a_service_that_left_is_told() -> None:
    gone = Delta((), (), (frontend().key,), (pool().key,))
    assert told(FIRST, gone) == [("default/shop", "ServiceRemoved", "no longer served")]
    assert told(FIRST, gone, FIRST)[0][1] == "ServiceAdded"


@pytest.mark.parametrize(
    ("after", "kind", "message"),
    [
        (pool(A, B), "EndpointAdded", "port http: added 10.1.0.2:8080"),
        (pool(B), "EndpointRemoved", "port http: removed pod-a (10.1.0.1:8080)"),
        (pool(replace(A, weight=0)), "WeightChanged", "port http: weight of pod-a (10.1.0.1:8080): 1 → 0"),
        (pool(A, scheduler="wlc"), "SchedulerChanged", "port http: scheduler rr → wlc"),
        (pool(A, affinity_seconds=60), "AffinityChanged", "port http: affinity None → ClientIP 60s"),
        (pool(A, idle_timeout=90.0), "TimeoutChanged", "port http: timeouts connect 5s, idle 90s"),
    ],
)
def test_what_is_different_in_a_pool_is_told(after: Pool, kind: str, message: str) -> None:
    assert ("default/shop", kind, message) in told(FIRST, Delta((after,)))


def test_addresses_that_come_go_and_change_are_told() -> None:
    other = frontend("10.0.0.2")
    assert told(FIRST, Delta((), (other,), (frontend().key,))) == [
        ("default/shop", "AddressRemoved", "removed ClusterIP 10.0.0.1:80/TCP"),
        ("default/shop", "AddressAdded", "added ClusterIP 10.0.0.2:80/TCP"),
    ]
    changed = replace(frontend(), when_empty="drop")
    assert [kind for _, kind, _ in told(FIRST, Delta((), (changed,)))] == ["AddressChanged"]


def test_an_address_that_another_service_takes_over_is_told_of_both() -> None:
    taken = frontend(service="default/other")
    assert {(service, kind) for service, kind, _ in told(FIRST, Delta((), (taken,)))} == {
        ("default/other", "ServiceAdded"),
        ("default/shop", "AddressRemoved"),
    }


def test_very_many_services_at_once_are_one_line() -> None:
    services = [f"default/s{number}" for number in range(1000)]
    delta = Delta(tuple(pool(service=each) for each in services), ())
    assert told(delta) == [("", "ManyChanged", "1000 Services changed at once")]


def test_long_lists_are_cut() -> None:
    targets = [Target(f"10.1.0.{number}", 80) for number in range(7)]
    (change,) = told(Delta((pool(),)), Delta((pool(*targets),)))
    assert change[2].endswith("10.1.0.3:80 and 3 more")


def test_only_so_many_are_kept() -> None:
    changes = RecentChanges()
    for number in range(CAPACITY + 10):
        changes.record(Delta((pool(A, idle_timeout=float(number)),)), NOW)
    kept = changes.since()
    assert len(kept) == CAPACITY
    assert (kept[0].sequence, kept[-1].sequence) == (11, CAPACITY + 10) == (11, changes.last)
    assert changes.since(changes.last) == changes.since(changes.last + 5) == ()


PLANS = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), st.tuples(st.sets(st.integers(1, 3)), st.sampled_from(["rr", "lc"])), max_size=3
)


@given(st.lists(PLANS, max_size=6))
def test_a_service_is_told_of_exactly_when_it_differs(plans: list[dict[str, tuple[set[int], str]]]) -> None:
    changes = RecentChanges()
    pools = [
        {
            name: pool(*(Target("10.1.0.1", port) for port in sorted(ports)), service=name, scheduler=scheduler)
            for name, (ports, scheduler) in plan.items()
        }
        for plan in [{}, *plans]
    ]
    for before, after in pairwise(pools):
        newer = tuple(each for name, each in after.items() if before.get(name) != each)
        removed = tuple(each.key for name, each in before.items() if name not in after)
        last = changes.last
        changes.record(Delta(newer, (), (), removed), NOW)
        differing = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        assert {each.service for each in changes.since(last)} == differing
