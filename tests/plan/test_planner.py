"""The planner: incremental, and always equal to planning afresh."""

import random
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.model.changes import Changes, ObjectKey, PodWeight
from proxy.model.endpoint_slice import SERVICE_NAME_LABEL, EndpointSlice
from proxy.model.metadata import ObjectMeta
from proxy.model.node import ZONE_LABEL, Node
from proxy.model.service import Service
from proxy.plan import planner as planner_module
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool
from proxy.plan.planner import Planner
from proxy.plan.service_plan import ServicePlan, plan_service
from proxy.plan.settings import PlanSettings

SETTINGS = PlanSettings(
    node_name="here", schedulers=("rr", "sh"), node_port_addresses=("127.0.0.1", "::1"), proxy_name=""
)


def service(name: str, address: str = "10.96.0.1", born: str = "", port: int = 80, **spec: Any) -> Service:
    document = {
        "metadata": {"name": name, "namespace": "default", "creationTimestamp": born},
        "spec": {
            "type": "ClusterIP",
            "clusterIPs": [address],
            "ports": [{"port": port, "protocol": "TCP", "nodePort": spec.pop("nodePort", 0)}],
            **spec,
        },
    }
    return msgspec.convert(document, Service)


def slice_for(owner: str, *hosts: int, name: str = "", pods: Sequence[str] = ()) -> EndpointSlice:
    document = {
        "metadata": {"name": name or f"{owner}-1", "namespace": "default", "labels": {SERVICE_NAME_LABEL: owner}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [f"10.0.0.{host}"]} for host in hosts]
        + [{"addresses": [f"10.0.1.{i}"], "targetRef": {"kind": "Pod", "name": pod}} for i, pod in enumerate(pods)],
        "ports": [{"name": "", "protocol": "TCP", "port": 8080}],
    }
    return msgspec.convert(document, EndpointSlice)


def node(zone: str) -> Node:
    return Node(ObjectMeta("here", labels={ZONE_LABEL: zone}))


class Tally:
    """Which Services plan_service was called for."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, subject: Service, *rest: Any) -> ServicePlan:
        self.names.append(subject.metadata.name)
        return plan_service(subject, *rest)


@pytest.fixture
def tally(monkeypatch: pytest.MonkeyPatch) -> Tally:
    counting = Tally()
    monkeypatch.setattr(planner_module, "plan_service", counting)
    return counting


def three_services() -> Planner:
    planner = Planner(SETTINGS)
    planner.apply(
        Changes(
            services=tuple(service(name, f"10.96.0.{i}") for i, name in enumerate("abc", 1)),
            slices=(slice_for("a", 1), slice_for("b", 2, pods=["x"]), slice_for("c", 3, pods=["y"])),
        )
    )
    return planner


def test_slices_may_arrive_before_their_service() -> None:
    planner = Planner(SETTINGS)
    assert not planner.apply(Changes(slices=(slice_for("a", 1),)))
    delta = planner.apply(Changes(services=(service("a"),)))
    assert [target.address for pool in delta.pools for target in pool.targets] == ["10.0.0.1"]
    assert list(planner.services) == [("default", "a")]


def test_an_equal_resync_plans_nothing_and_changes_nothing(tally: Tally) -> None:
    planner = three_services()
    tally.names.clear()
    delta = planner.apply(
        Changes(
            services=tuple(service(name, f"10.96.0.{i}") for i, name in enumerate("abc", 1)),
            slices=(slice_for("a", 1), slice_for("b", 2, pods=["x"]), slice_for("c", 3, pods=["y"])),
            pod_weights=(PodWeight("default", "x", None),),
            node=node(""),
        )
    )
    assert delta == Delta()
    assert tally.names == []


def test_a_new_version_that_changes_nothing_for_the_plan_is_an_empty_delta(tally: Tally) -> None:
    planner = three_services()
    tally.names.clear()
    changed = msgspec.structs.replace(service("a"), metadata=ObjectMeta("a", "default", resource_version="2"))
    assert planner.apply(Changes(services=(changed,))) == Delta()
    assert tally.names == ["a"]


@pytest.mark.parametrize(
    ("changes", "planned"),
    [
        (Changes(services=(service("b", "10.96.0.2", sessionAffinity="ClientIP"),)), ["b"]),
        (Changes(slices=(slice_for("c", 4),)), ["c"]),
        (Changes(slices=(slice_for("c", 4, name="a-1"),)), ["a", "c"]),
        (Changes(removed_slices=(("default", "a-1"),)), ["a"]),
        (Changes(pod_weights=(PodWeight("default", "x", 3),)), ["b"]),
        (Changes(pod_weights=(PodWeight("default", "stranger", 3),)), []),
        (Changes(pod_weights=(PodWeight("other", "x", 3),)), []),
        (Changes(slices=(slice_for("nobody", 4),)), []),
        (Changes(removed_services=(("default", "a"),)), []),
        (Changes(removed_services=(("default", "nobody"),)), []),
        (Changes(node=node("east")), ["a", "b", "c"]),
    ],
    ids=lambda value: "+".join(value) or "none" if isinstance(value, list) else "",
)
def test_plans_only_the_services_that_a_change_touches(tally: Tally, changes: Changes, planned: list[str]) -> None:
    planner = three_services()
    tally.names.clear()
    planner.apply(changes)
    assert tally.names == planned


def test_a_weight_reaches_the_pool_and_leaves_it_again() -> None:
    planner = three_services()
    key = "default/b/TCP/IPv4"
    before = planner.pools[key]
    (pool,) = planner.apply(Changes(pod_weights=(PodWeight("default", "x", 3),))).pools
    assert pool == planner.pools[key]
    assert {target.pod: target.weight for target in pool.targets} == {"": 1, "x": 3}
    planner.apply(Changes(pod_weights=(PodWeight("default", "x", None),)))
    assert planner.pools[key] == before


def test_a_weight_may_be_known_before_the_pod_is_used() -> None:
    planner = Planner(SETTINGS)
    planner.apply(Changes(pod_weights=(PodWeight("default", "x", 3),), services=(service("a"),)))
    (pool,) = planner.apply(Changes(slices=(slice_for("a", pods=["x"]),))).pools
    assert [target.weight for target in pool.targets] == [3]


def test_a_removed_service_takes_its_pool_and_frontend_along() -> None:
    planner = three_services()
    delta = planner.apply(Changes(removed_services=(("default", "a"),)))
    assert delta == Delta(
        removed_frontends=(FrontendKey("TCP", "10.96.0.1", 80),), removed_pools=("default/a/TCP/IPv4",)
    )
    assert ("default", "a") not in planner.services
    assert planner.plan_of(("default", "a")) == ServicePlan()


def test_of_two_claims_the_first_holds_and_the_second_is_told() -> None:
    planner = Planner(SETTINGS)
    planner.apply(Changes(services=(service("b"),)))
    delta = planner.apply(Changes(services=(service("a"),)))
    assert delta.frontends == ()
    assert planner.frontends[FrontendKey("TCP", "10.96.0.1", 80)].service == "default/b"
    assert [str(each) for each in planner.problems()] == [
        "Service default/a: port 10.96.0.1:80/TCP is already served for default/b"
    ]


def test_a_released_frontend_goes_over_in_one_delta_without_being_removed() -> None:
    planner = Planner(SETTINGS)
    planner.apply(Changes(services=(service("b"),)))
    planner.apply(Changes(services=(service("a"),)))
    delta = planner.apply(Changes(removed_services=(("default", "b"),)))
    assert [each.service for each in delta.frontends] == ["default/a"]
    assert delta.removed_frontends == ()
    assert delta.removed_pools == ("default/b/TCP/IPv4",)
    assert planner.problems() == ()


def test_two_services_may_swap_ports_in_one_batch() -> None:
    planner = Planner(SETTINGS)
    planner.apply(Changes(services=(service("a", port=80), service("b", port=81))))
    planner.apply(Changes(services=(service("a", port=81), service("b", port=80))))
    owners = {key.port: each.service for key, each in planner.frontends.items()}
    assert owners == {80: "default/b", 81: "default/a"}
    assert planner.problems() == ()


def test_of_two_first_claims_in_one_batch_the_older_service_wins() -> None:
    old, new = service("b", born="2026-01-01T00:00:00Z"), service("a", born="2026-02-01T00:00:00Z")
    for batch in ((old, new), (new, old)):
        planner = Planner(SETTINGS)
        planner.apply(Changes(services=batch))
        assert [each.service for each in planner.frontends.values()] == ["default/b"]


def test_a_service_whose_own_addresses_meet_can_come_and_go() -> None:
    planner = Planner(SETTINGS)
    ports = [
        {"name": "a", "port": 80, "protocol": "TCP", "nodePort": 30081},
        {"name": "b", "port": 30081, "protocol": "TCP"},
    ]
    subject = service("a", type="NodePort", ports=ports, externalIPs=["127.0.0.1"])
    planner.apply(Changes(services=(subject,)))
    assert planner.frontends[FrontendKey("TCP", "127.0.0.1", 30081)].pool == "default/a:a/TCP/IPv4"
    assert planner.problems() == ()
    planner.apply(Changes(removed_services=(("default", "a"),)))
    assert not planner.frontends
    assert not planner.pools


def test_problems_name_the_service_and_the_field() -> None:
    planner = Planner(SETTINGS)
    ports = [{"port": 9, "protocol": "SCTP"}]
    planner.apply(Changes(services=(service("a", ports=ports),)))
    assert [str(each) for each in planner.problems()] == [
        "Service default/a: spec.ports[0].protocol: SCTP is not supported by svcproxy; this port is not served"
    ]


NAMES = ("a", "b", "c")


@st.composite
def services(draw: st.DrawFn, contested: bool) -> Service:
    name = draw(st.sampled_from(NAMES))
    own = 1 if contested else NAMES.index(name) + 1
    addresses = [[f"10.96.0.{own}"], [f"10.96.0.{own}", f"2001:db8::{own}"], ["None"], []]
    local = st.sampled_from(["Cluster", "Local"])
    return service(
        name,
        type=draw(st.sampled_from(["ClusterIP", "NodePort", "ExternalName"])),
        clusterIPs=draw(st.sampled_from(addresses)),
        port=draw(st.sampled_from([80, 81])),
        nodePort=draw(st.sampled_from([0, 30000 + own])),
        internalTrafficPolicy=draw(local),
        externalTrafficPolicy=draw(local),
        sessionAffinity=draw(st.sampled_from(["None", "ClientIP"])),
    )


@st.composite
def slices(draw: st.DrawFn) -> EndpointSlice:
    endpoint = st.fixed_dictionaries(
        {
            "addresses": st.integers(1, 4).map(lambda host: [f"10.0.0.{host}"]),
            "nodeName": st.sampled_from(["here", "there"]),
            "conditions": st.fixed_dictionaries({"ready": st.booleans(), "terminating": st.booleans()}),
            "hints": st.sampled_from([{}, {"forZones": [{"name": "east"}]}, {"forZones": [{"name": "west"}]}]),
            "targetRef": st.sampled_from([None, {"kind": "Pod", "name": "x"}, {"kind": "Pod", "name": "y"}]),
        }
    )
    document = {
        "metadata": {
            "name": draw(st.sampled_from(["s", "t", "u"])),
            "namespace": "default",
            "labels": draw(st.sampled_from([{}, *({SERVICE_NAME_LABEL: name} for name in NAMES)])),
        },
        "addressType": draw(st.sampled_from(["IPv4", "IPv4", "IPv6"])),
        "endpoints": draw(st.lists(endpoint, max_size=4)),
        "ports": [{"name": "", "protocol": "TCP", "port": draw(st.sampled_from([8080, 8081]))}],
    }
    return msgspec.convert(document, EndpointSlice)


def batches(contested: bool) -> st.SearchStrategy[Changes]:
    service_keys = st.sampled_from([("default", name) for name in NAMES])
    slice_keys = st.sampled_from([("default", name) for name in ("s", "t", "u")])
    weights = st.builds(PodWeight, st.just("default"), st.sampled_from(["x", "y"]), st.sampled_from([None, 0, 1, 3]))
    return st.builds(
        Changes,
        services=st.lists(services(contested), max_size=2, unique_by=lambda each: each.key).map(tuple),
        removed_services=st.lists(service_keys, max_size=1).map(tuple),
        slices=st.lists(slices(), max_size=2, unique_by=lambda each: each.key).map(tuple),
        removed_slices=st.lists(slice_keys, max_size=1).map(tuple),
        pod_weights=st.lists(weights, max_size=2, unique_by=lambda each: each.name).map(tuple),
        node=st.sampled_from([None, node("east"), node("west")]),
    )


class Replay:
    """Plans everything afresh after every batch, and keeps a queue of Services for every frontend."""

    def __init__(self) -> None:
        self.services: dict[ObjectKey, Service] = {}
        self.slices: dict[ObjectKey, EndpointSlice] = {}
        self.weights: dict[ObjectKey, int | None] = {}
        self.zone = ""
        self.queues: dict[FrontendKey, list[ObjectKey]] = {}

    def take(self, changes: Changes) -> None:
        for key in changes.removed_services:
            self.services.pop(key, None)
        for key in changes.removed_slices:
            self.slices.pop(key, None)
        self.services.update((each.key, each) for each in changes.services)
        self.slices.update((each.key, each) for each in changes.slices)
        self.weights.update(((each.namespace, each.name), each.weight) for each in changes.pod_weights)
        self.zone = changes.node.zone if changes.node else self.zone
        claims = {key: {each.key for each in plan.frontends} for key, plan in self.plans().items()}
        for frontend_key in set().union(*claims.values()) | set(self.queues):
            claiming = sorted(key for key, keys in claims.items() if frontend_key in keys)
            waiting = self.queues.get(frontend_key, [])
            stayed = [key for key in waiting if key in claiming]
            self.queues[frontend_key] = stayed + [key for key in claiming if key not in stayed]

    def plans(self) -> dict[ObjectKey, ServicePlan]:
        weights = {key: weight for key, weight in self.weights.items() if weight is not None}
        return {
            key: plan_service(each, [s for s in self.slices.values() if s.service == key], weights, self.zone, SETTINGS)
            for key, each in self.services.items()
        }

    def pools(self) -> dict[str, Pool]:
        return {pool.key: pool for plan in self.plans().values() for pool in plan.pools}

    def frontends(self) -> dict[FrontendKey, Frontend]:
        plans = self.plans()
        return {
            key: next(each for each in plans[queue[0]].frontends if each.key == key)
            for key, queue in self.queues.items()
            if queue
        }


def patch(pools: dict[str, Pool], frontends: dict[FrontendKey, Frontend], delta: Delta) -> None:
    """Apply a delta in the order of its fields, as a data plane would; a frontend's pool must be there."""
    pools.update((each.key, each) for each in delta.pools)
    frontends.update((each.key, each) for each in delta.frontends)
    assert all(each.pool in pools for each in delta.frontends)
    for frontend_key in delta.removed_frontends:
        del frontends[frontend_key]
    for pool_key in delta.removed_pools:
        del pools[pool_key]
    assert all(each.pool in pools for each in frontends.values())


@pytest.mark.parametrize("contested", [False, True])
@given(data=st.data())
@settings(deadline=None)
def test_every_state_equals_a_plan_from_scratch_and_the_sum_of_the_deltas(contested: bool, data: st.DataObject) -> None:
    planner, replay = Planner(SETTINGS), Replay()
    pools: dict[str, Pool] = {}
    frontends: dict[FrontendKey, Frontend] = {}
    for changes in data.draw(st.lists(batches(contested), max_size=8)):
        patch(pools, frontends, planner.apply(changes))
        replay.take(changes)
        assert planner.pools == pools == replay.pools()
        assert planner.frontends == frontends == replay.frontends()
        assert {key: planner.plan_of(key) for key in planner.services} == replay.plans()
        assert len(planner.problems()) == sum(max(len(queue) - 1, 0) for queue in replay.queues.values())
        assert planner.apply(changes_again(planner, replay)) == Delta()


def changes_again(planner: Planner, replay: Replay) -> Changes:
    """What a source says after it lost its connection: all it has, and nothing new."""
    return Changes(
        services=tuple(planner.services.values()),
        slices=tuple(replay.slices.values()),
        pod_weights=tuple(PodWeight(*key, weight) for key, weight in replay.weights.items()),
    )


@given(
    st.lists(services(contested=False), max_size=3, unique_by=lambda each: each.key),
    st.lists(slices(), max_size=3, unique_by=lambda each: each.key),
    st.randoms(use_true_random=False),
)
@settings(deadline=None)
def test_the_order_of_arrival_does_not_matter(
    made: list[Service], behind: list[EndpointSlice], shuffling: random.Random
) -> None:
    singles = [
        *(Changes(services=(each,)) for each in made),
        *(Changes(slices=(each,)) for each in behind),
        Changes(pod_weights=(PodWeight("default", "x", 3),)),
        Changes(node=node("east")),
    ]
    in_order = planned_after(singles)
    shuffling.shuffle(singles)
    shuffled = planned_after(singles)
    assert shuffled.pools == in_order.pools
    assert shuffled.frontends == in_order.frontends
    assert shuffled.problems() == in_order.problems()


def planned_after(batches: Iterable[Changes]) -> Planner:
    planner = Planner(SETTINGS)
    for changes in batches:
        planner.apply(changes)
    return planner


def sctp(name: str) -> Service:
    """A Service with a port that is not served, which is a problem."""
    return service(name, "10.96.0.9", ports=[{"port": 9, "protocol": "SCTP"}])


def test_the_problems_stay_one_tuple_until_one_of_them_changes() -> None:
    planner = Planner(SETTINGS)
    assert planner.problems() == ()
    planner.apply(Changes(services=(service("a"), service("b"), sctp("c"))))
    found = planner.problems()
    assert [problem.subject for problem in found] == ["Service default/b", "Service default/c"]
    planner.apply(Changes(slices=(slice_for("c", 1),), services=(service("d", "10.96.0.4"),)))
    assert [problem.subject for problem in planner.problems()] == ["Service default/b", "Service default/c"]
    planner.apply(Changes(removed_services=(("default", "a"),)))
    assert [problem.subject for problem in planner.problems()] == ["Service default/c"]
    kept = planner.problems()
    planner.apply(Changes(slices=(slice_for("d", 2),)))
    assert planner.problems() is kept
    planner.apply(Changes(removed_services=(("default", "c"),)))
    assert planner.problems() == ()
