"""Any sequence of changes: the planner is incremental, and always equal to planning afresh."""

import random
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.model.changes import Changes, ObjectKey, PodWeight
from proxy.model.endpoint_slice import SERVICE_NAME_LABEL, EndpointSlice
from proxy.model.service import Service
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool
from proxy.plan.own_places import OwnListener, OwnPlaces
from proxy.plan.planner import Planner
from proxy.plan.service_plan import ServicePlan, plan_service
from proxy.plan.settings import PlanSettings
from tests.plan.planned_objects import SETTINGS, node, service

NAMES = ("a", "b", "c")
ADDRESSES = ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.96.0.1", "10.96.0.2", "127.0.0.1", "127.0.0.9")
"""Of endpoints: some are ClusterIPs, some are this machine's."""
LISTENER = OwnListener(FrontendKey("TCP", "0.0.0.0", 8080), "health address")
ON_THE_WILDCARD = replace(SETTINGS, node_port_addresses=("0.0.0.0", "::"), own_listeners=(LISTENER,))


class KnownKeys(OwnPlaces):
    """Who is where, by looking at every key."""

    def __init__(self, keys: Iterable[FrontendKey], settings: PlanSettings) -> None:
        super().__init__((), settings.local_addresses.lookup(), lambda key: None)
        self.keys = [*keys, *(each.key for each in settings.own_listeners)]
        self.addresses = {key.address for key in self.keys}

    def occupant(self, service: str, protocol: str, address: str, port: int) -> str:
        is_local = address.startswith("127.") or address in self.addresses
        places = (address, "0.0.0.0") if is_local else (address,)
        at = [(each.protocol, each.address, each.port) for each in self.keys]
        return "taken" if any((protocol, place, port) in at for place in places) else ""


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
            "addresses": st.sampled_from([[address] for address in ADDRESSES]),
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
        "ports": [{"name": "", "protocol": "TCP", "port": draw(st.sampled_from([8080, 80, 30001]))}],
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

    def __init__(self, settings: PlanSettings) -> None:
        self.settings = settings
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
        own = KnownKeys([key for key, queue in self.queues.items() if queue], self.settings)
        sources = self.settings.local_addresses.sources()
        return {
            key: plan_service(each, self.behind(key), weights, self.zone, self.settings, own, sources)
            for key, each in self.services.items()
        }

    def behind(self, service: ObjectKey) -> list[EndpointSlice]:
        return [each for each in self.slices.values() if each.service == service]

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


@pytest.mark.parametrize("plan_settings", [SETTINGS, ON_THE_WILDCARD], ids=["addresses", "wildcard"])
@pytest.mark.parametrize("contested", [False, True])
@given(data=st.data())
@settings(deadline=None)
def test_every_state_equals_a_plan_from_scratch_and_the_sum_of_the_deltas(
    contested: bool, plan_settings: PlanSettings, data: st.DataObject
) -> None:
    planner, replay = Planner(plan_settings), Replay(plan_settings)
    pools: dict[str, Pool] = {}
    frontends: dict[FrontendKey, Frontend] = {}
    for changes in data.draw(st.lists(batches(contested), max_size=8)):
        patch(pools, frontends, planner.apply(changes))
        replay.take(changes)
        assert planner.pools == pools == replay.pools()
        assert planner.frontends == frontends == replay.frontends()
        plans = replay.plans()
        assert {key: anonymous(planner.plan_of(key)) for key in planner.services} == plans
        waiting = sum(max(len(queue) - 1, 0) for queue in replay.queues.values())
        assert len(planner.problems()) == waiting + sum(len(plan.led_back) for plan in plans.values())
        assert planner.apply(changes_again(planner, replay)) == Delta()


def anonymous(plan: ServicePlan) -> ServicePlan:
    """Without the names of who is where."""
    led_back = [replace(each, occupants=("taken",) * len(each.places)) for each in plan.led_back]
    return replace(plan, led_back=tuple(led_back))


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
