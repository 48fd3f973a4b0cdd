"""The balancer's bookkeeping: counts, failing memory, affinity and drained endpoints, against a model of its own."""

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.affinity import AffinityTable
from proxy.dataplane.balancer import Balancer
from proxy.dataplane.stickiness import Stickiness
from proxy.dataplane.upstream import Upstream
from proxy.plan.frontend import Pool, Target

CLIENT, OTHER_CLIENT, VIP = "10.9.9.9", "10.9.9.8", "10.96.0.1"
A, B, C = (Target(f"10.0.0.{number}", 80) for number in (1, 2, 3))


def pool(*targets: Target, **changes: Any) -> Pool:
    values: dict[str, Any] = {
        "key": "web",
        "service": "default/web",
        "port_name": "",
        "protocol": "TCP",
        "scheduler": "rr",
        "affinity_key": "web",
        "affinity_seconds": 0,
        "connect_timeout": 5.0,
        "idle_timeout": 0.0,
        "targets": targets,
    }
    return Pool(**(values | changes))


def balancer(*targets: Target, stickiness: Stickiness | None = None, **changes: Any) -> Balancer:
    return Balancer(pool(*targets, **changes), stickiness, Random(1))


def sticky(timeout: int = 60) -> Stickiness:
    return Stickiness(AffinityTable(100), timeout)


def chosen(of: Balancer, client: str = CLIENT, now: float = 0.0, tried: tuple[Upstream, ...] = ()) -> Upstream:
    upstream = of.choose(client, VIP, now, tried)
    assert upstream is not None
    return upstream


def drained(target: Target) -> Target:
    return Target(target.address, target.port, 0)


def test_an_upstream_that_stays_keeps_its_counts_and_identity() -> None:
    of = balancer(A, B)
    first = chosen(of)
    of.update(pool(A, B, C), None)
    assert first in of.upstreams
    assert first.active == 1


def test_an_upstream_that_returns_while_it_has_flows_has_its_counts() -> None:
    of = balancer(A)
    upstream = chosen(of)
    of.update(pool(B), None)
    assert not of.has(upstream)
    of.update(pool(A, B), None)
    assert of.has(upstream)


def test_an_upstream_that_returns_without_flows_begins_anew() -> None:
    of = balancer(A)
    upstream = chosen(of)
    upstream.active -= 1
    of.update(pool(B), None)
    of.update(pool(A, B), None)
    assert not of.has(upstream)


def test_retired_upstreams_do_not_pile_up() -> None:
    of = balancer(A)
    for number in range(100):
        upstream = chosen(of)
        of.update(pool(Target("10.0.1.1", number + 1)), None)
        upstream.active -= 1
    assert len(of._retired) <= 1


def test_a_change_of_scheduler_keeps_the_upstreams() -> None:
    of = balancer(A, B)
    first = chosen(of)
    of.update(pool(A, B, scheduler="lc"), None)
    assert of.has(first)
    assert chosen(of) is not first


def test_a_drained_endpoint_gets_no_flow_but_is_still_there() -> None:
    of = balancer(drained(A), B)
    assert {chosen(of).address for _ in range(4)} == {B.address}
    assert len(of.upstreams) == 2
    of.update(pool(drained(A)), None)
    assert not of.usable
    assert of.choose(CLIENT, VIP, 0.0) is None


@pytest.mark.parametrize("scheduler", ["sh", "mh", "dh"])
def test_a_client_hashed_to_a_drained_endpoint_goes_to_another(scheduler: str) -> None:
    of = balancer(A, B, C, scheduler=scheduler)
    first = chosen(of)
    weights = [drained(target) if target.address == first.address else target for target in (A, B, C)]
    of.update(pool(*weights, scheduler=scheduler), None)
    assert chosen(of).address != first.address
    of.update(pool(A, B, C, scheduler=scheduler), None)
    assert chosen(of) is first


@pytest.mark.parametrize(("scheduler", "answer"), [("rr", False), ("sh", False), ("dh", True)])
def test_only_some_schedulers_need_the_address_that_was_asked(scheduler: str, answer: bool) -> None:
    assert balancer(A, scheduler=scheduler).by_destination is answer
    changed = balancer(A, scheduler="wrr")
    changed.update(pool(A, scheduler=scheduler), None)
    assert changed.by_destination is answer


def test_a_failing_upstream_is_left_out_until_its_penalty_is_over() -> None:
    of = balancer(A, B)
    failing = chosen(of)
    of.refused(failing, CLIENT, 0.0)
    assert failing.active == 0
    assert failing not in [chosen(of, now=0.9) for _ in range(4)]
    assert failing in [chosen(of, now=1.0) for _ in range(2)]


def test_failing_upstreams_are_tried_again_when_there_is_no_other() -> None:
    of = balancer(A, B, drained(C))
    both = [chosen(of), chosen(of)]
    for upstream in both:
        of.refused(upstream, CLIENT, 0.0)
    again = chosen(of, now=0.1)
    assert again in both
    assert chosen(of, now=0.1, tried=(again,)) in both
    assert of.choose(CLIENT, VIP, 0.1, tuple(both)) is None


def test_a_connection_forgives_every_failure() -> None:
    of = balancer(A, B)
    failing = chosen(of)
    for _ in range(3):
        failing.active += 1
        of.refused(failing, CLIENT, 0.0)
    of.opened(failing)
    of.forgive(failing)
    assert failing.failures == 0
    assert failing in [chosen(of, now=0.1) for _ in range(2)]


def test_a_failure_of_an_upstream_that_left_matters_to_nobody() -> None:
    of = balancer(A)
    leaving = chosen(of)
    of.update(pool(B), None)
    of.refused(leaving, CLIENT, 0.0)
    assert chosen(of).address == B.address
    assert not of._failed


def test_a_client_keeps_its_endpoint() -> None:
    of = balancer(A, B, C, stickiness=sticky())
    first = chosen(of)
    assert {chosen(of, now=float(second)) for second in range(0, 200, 50)} == {first}


def test_a_client_is_free_again_after_the_timeout_without_use() -> None:
    of = balancer(A, B, stickiness=sticky(10))
    first = chosen(of)
    assert chosen(of, now=10.0) is not first


def test_a_client_leaves_a_drained_endpoint_for_good() -> None:
    stickiness = sticky()
    of = balancer(A, B, stickiness=stickiness)
    first = chosen(of)
    weights = [drained(target) if target.address == first.address else target for target in (A, B)]
    of.update(pool(*weights), stickiness)
    second = chosen(of)
    assert second is not first
    of.update(pool(A, B), stickiness)
    assert chosen(of) is second


def test_an_endpoint_that_left_and_returned_is_bound_to_nobody() -> None:
    stickiness = sticky()
    of = balancer(A, stickiness=stickiness)
    chosen(of).active -= 1
    of.update(pool(B), stickiness)
    of.update(pool(A, B, C), stickiness)
    assert len({chosen(of, client=f"10.1.1.{number}") for number in range(2)} | {chosen(of)}) == 3


def test_a_refusal_unbinds_the_client_and_nobody_else() -> None:
    of = balancer(A, B, stickiness=sticky())
    first = chosen(of)
    second = chosen(of, client=OTHER_CLIENT)
    assert first is not second
    of.refused(first, CLIENT, 0.0)
    assert chosen(of, now=0.1) is second
    assert chosen(of, client=OTHER_CLIENT, now=0.1) is second


def test_a_late_refusal_does_not_unbind_from_what_was_found_meanwhile() -> None:
    of = balancer(A, B, C, stickiness=sticky())
    first = chosen(of)
    assert chosen(of) is first
    of.refused(first, CLIENT, 0.0)
    second = chosen(of, now=0.1, tried=(first,))
    of.refused(first, CLIENT, 0.2)
    assert chosen(of, now=0.3) is second


def test_pools_of_one_affinity_agree_on_a_client() -> None:
    stickiness = sticky()
    cluster, node = balancer(A, B, C, stickiness=stickiness), balancer(A, B, C, stickiness=stickiness)
    chosen(cluster, client=OTHER_CLIENT)
    assert chosen(node).address == chosen(cluster).address


def test_a_client_bound_outside_the_local_endpoints_is_bound_anew() -> None:
    stickiness = sticky()
    cluster, local = balancer(A, stickiness=stickiness), balancer(B, stickiness=stickiness)
    assert chosen(cluster).address == A.address
    assert chosen(local).address == B.address
    assert chosen(cluster).address == A.address


def test_an_endpoint_that_left_one_of_two_pools_is_still_bound_in_the_other() -> None:
    stickiness = sticky()
    cluster, local = balancer(A, B, stickiness=stickiness), balancer(A, B, stickiness=stickiness)
    first = chosen(cluster)
    local.update(pool(C), stickiness)
    assert chosen(cluster) is first


def test_affinity_turned_off_and_on_binds_nobody_from_before() -> None:
    of = balancer(A, B, stickiness=sticky())
    first = chosen(of)
    of.update(pool(A, B), None)
    assert {chosen(of), chosen(of)} == set(of.upstreams)
    of.update(pool(A, B), sticky())
    second = chosen(of)
    assert [chosen(of) for _ in range(3)] == [second] * 3
    assert of.has(first)


def test_a_pool_that_is_gone_lets_go_of_its_identities() -> None:
    stickiness = sticky()
    of = balancer(A, stickiness=stickiness)
    before = chosen(of).identity
    of.dissolve()
    assert stickiness.join((A.address, A.port)) != before


PLACES = [(f"10.0.0.{number}", 80) for number in range(4)]
WEIGHTS = st.dictionaries(st.sampled_from(PLACES), st.integers(0, 2), max_size=4)
CLIENTS = st.sampled_from(["10.1.0.1", "10.1.0.2", "fd00::3"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("update"), WEIGHTS),
        st.tuples(st.just("choose"), CLIENTS),
        st.tuples(st.just("refuse"), st.integers(0, 9)),
        st.tuples(st.just("connect"), st.integers(0, 9)),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.tuples(st.just("pass"), st.integers(0, 40)),
    ),
    max_size=50,
)


class Model:
    """What the page of semantics says must hold of a choice, whatever the scheduler."""

    TIMEOUT = 30

    def __init__(self) -> None:
        self.now = 0.0
        self.weights: dict[tuple[str, int], int] = {}
        self.shunned: dict[tuple[str, int], float] = {}
        self.bound: dict[str, tuple[tuple[str, int], float]] = {}

    def update(self, weights: dict[tuple[str, int], int]) -> None:
        for place in self.weights.keys() - weights.keys():
            self.shunned.pop(place, None)
            self.bound = {client: entry for client, entry in self.bound.items() if entry[0] != place}
        self.weights = weights

    def allowed(self, client: str) -> set[tuple[str, int]]:
        usable = {place for place, weight in self.weights.items() if weight}
        preferred = {place for place in usable if self.shunned.get(place, 0.0) <= self.now}
        place, used = self.bound.get(client, (None, 0.0))
        if place in preferred and self.now - used < self.TIMEOUT:
            return {place} if place else set()
        return preferred or usable


@given(STEPS, st.sampled_from(["rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "mh", "random"]))
def test_every_choice_is_one_that_the_rules_allow(steps: list[tuple[str, Any]], scheduler: str) -> None:
    model, stickiness = Model(), sticky(Model.TIMEOUT)
    of = balancer(stickiness=stickiness, scheduler=scheduler)
    flows: list[tuple[Upstream, str]] = []
    for action, value in steps:
        if action == "update":
            model.update(value)
            targets = [Target(place[0], place[1], weight) for place, weight in sorted(value.items())]
            of.update(pool(*targets, scheduler=scheduler), stickiness)
        elif action == "pass":
            model.now += value
        elif action == "choose":
            upstream, allowed = of.choose(value, VIP, model.now), model.allowed(value)
            assert (upstream is None) == (not allowed)
            if upstream is not None:
                place = (upstream.address, upstream.port)
                assert place in allowed
                model.bound[value] = (place, model.now)
                flows.append((upstream, value))
        elif flows:
            upstream, client = flows[value % len(flows)]
            place = (upstream.address, upstream.port)
            if action == "connect":
                of.opened(upstream)
                if upstream.failures:
                    of.forgive(upstream)
                if of.has(upstream):
                    model.shunned.pop(place, None)
            else:
                flows.remove((upstream, client))
            if action == "end":
                upstream.active -= 1
            elif action == "refuse":
                of.refused(upstream, client, model.now)
                if of.has(upstream):
                    model.shunned[place] = upstream.failed_until
                    if model.bound.get(client, (None,))[0] == place:
                        del model.bound[client]
        counted = Counter(upstream for upstream, _ in flows)
        assert all(upstream.active == counted[upstream] for upstream in {*of.upstreams, *counted})
        assert of.usable == any(model.weights.values())
