"""The looks at open flows: portions, turns in between, and flows that come and go meanwhile."""

from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.dataplane.balancer import Balancer
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.deadlines import Deadlines
from proxy.dataplane.ended_connections import EndedConnections
from proxy.dataplane.flow_accounts import FlowAccounts
from proxy.dataplane.flow_sampler import INTERVAL, PORTION, FlowSampler
from proxy.dataplane.udp_flow import UdpFlow
from proxy.plan.frontend import Pool, Target
from proxy.shared_counts.layout import PoolCell

POOL = Pool("web", "default/web", "", "TCP", "rr", "web", 0, 5.0, 0.0, (Target("10.0.0.1", 80),))


class FakeFlow:
    """A flow that has carried what the test says."""

    def __init__(self, balancer: Balancer, carried: tuple[int, int]) -> None:
        self.used = 0.0
        self.balancer = balancer
        self.carried = carried
        (self.upstream,) = balancer.upstreams


class Turns:
    """In the place of a reactor: gives the turns when the test wants them."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def again(self, waiting: Any) -> None:
        self.waiting.append(waiting)

    def take(self) -> None:
        queue, self.waiting = self.waiting, []
        for each in queue:
            each.go_on()


class Sampled:
    """A sampler with the flows of the test."""

    def __init__(self) -> None:
        self.balancer = Balancer(POOL, None, Random(1))
        self.turns = Turns()
        self.relays: dict[Any, None] = {}
        self.flows = Deadlines()
        self.accounts = FlowAccounts(EndedConnections(lambda: 0.0))
        resources: Any = SimpleNamespace(
            reactor=self.turns, relays=self.relays, flows=self.flows, accounts=self.accounts
        )
        self.sampler = FlowSampler(resources)

    def open(self, count: int, carried: tuple[int, int]) -> list[Any]:
        opened = [FakeFlow(self.balancer, carried) for _ in range(count)]
        self.relays.update(dict.fromkeys(opened))
        return opened

    def close(self, flow: Any) -> None:
        del self.relays[flow]
        self.accounts.closed(flow, flow.upstream, CloseReason.CLIENT_CLOSED, flow.carried, 1.0)
        self.accounts.settle()

    @property
    def received(self) -> int:
        return self.balancer.tally.counts[PoolCell.RECEIVED_BYTES]


@pytest.fixture
def sampled() -> Sampled:
    return Sampled()


def test_many_flows_take_several_turns_and_are_all_counted(sampled: Sampled) -> None:
    sampled.open(2 * PORTION + 1, (1, 0))
    sampled.sampler.look(INTERVAL)
    assert sampled.received == PORTION
    sampled.turns.take()
    assert sampled.received == 2 * PORTION
    sampled.turns.take()
    assert sampled.received == 2 * PORTION + 1
    assert sampled.turns.waiting == []


def test_few_flows_take_one_turn(sampled: Sampled) -> None:
    sampled.open(3, (1, 0))
    sampled.sampler.look(INTERVAL)
    assert sampled.received == 3
    assert sampled.turns.waiting == []


def test_a_flow_that_ends_before_its_turn_is_counted_once(sampled: Sampled) -> None:
    flows = sampled.open(PORTION + 2, (1, 0))
    sampled.sampler.look(INTERVAL)
    sampled.close(flows[0])
    sampled.close(flows[-1])
    sampled.turns.take()
    assert sampled.received == PORTION + 2


def test_one_that_is_used_while_others_have_their_turn_is_seen_the_next_time(sampled: Sampled) -> None:
    flows = sampled.open(PORTION + 1, (0, 0))
    sampled.sampler.look(5.0)
    flows[0].used, flows[0].carried = 5.1, (7, 0)
    sampled.turns.take()
    assert sampled.received == 0
    sampled.sampler.look(5.0 + INTERVAL)
    assert sampled.received == 7


def test_a_look_comes_once_an_interval_and_not_before_the_last_one_is_over(sampled: Sampled) -> None:
    (flow, *_) = sampled.open(PORTION, (1, 0))
    sampled.sampler.look(5.0)
    flow.used, flow.carried = 5.0, (2, 0)
    sampled.sampler.look(5.0 + 2 * INTERVAL)
    assert (sampled.received, len(sampled.turns.waiting)) == (PORTION, 1)
    sampled.turns.take()
    sampled.sampler.look(5.0 + INTERVAL / 2)
    assert sampled.received == PORTION
    sampled.sampler.look(5.0 + INTERVAL)
    assert sampled.received == PORTION + 1


def test_after_a_defect_it_begins_anew(sampled: Sampled) -> None:
    sampled.open(PORTION + 1, (1, 0))
    sampled.sampler.look(5.0)
    sampled.turns.waiting.clear()
    sampled.sampler.crashed()
    sampled.sampler.look(5.0 + INTERVAL)
    sampled.turns.take()
    assert sampled.received == PORTION + 1


@pytest.mark.interpreted
def test_udp_flows_are_looked_at_too(sampled: Sampled) -> None:
    (upstream,) = sampled.balancer.upstreams

    class Quiet(UdpFlow):
        def __init__(self) -> None:
            self.used = 5.0

        carried = (3, 4)

        def deadline(self) -> float:
            return 100.0

    flow: Any = Quiet()
    flow.balancer, flow.upstream = sampled.balancer, upstream
    sampled.flows.add(flow)
    sampled.sampler.look(5.0)
    assert sampled.received == 3
