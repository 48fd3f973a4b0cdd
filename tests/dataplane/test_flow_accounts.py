"""What flows come to, counted once each, whenever it is looked at in between."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.balancer import Balancer
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.ended_connections import EndedConnections
from proxy.dataplane.flow_accounts import FlowAccounts
from proxy.dataplane.upstream import Upstream
from proxy.plan.frontend import Pool, Target
from proxy.shared_counts.column import private_tally
from proxy.shared_counts.layout import ENDPOINTS, EndpointCell, PoolCell

POOL = Pool("web", "default/web", "", "TCP", "rr", "web", 0, 5.0, 0.0, (Target("10.0.0.1", 80),))


class FakeFlow:
    """A flow that has carried what the test says."""

    def __init__(self, balancer: Balancer) -> None:
        self.used = 0.0
        self.balancer = balancer
        self.carried = (0, 0)
        (self.upstream,) = balancer.upstreams


def fresh() -> tuple[FlowAccounts, FakeFlow, list[int], list[int]]:
    """Accounts, a flow, and the counters of its pool and its endpoint."""
    flow = FakeFlow(Balancer(POOL, None, Random(1)))
    return FlowAccounts(EndedConnections(lambda: 0.0)), flow, flow.balancer.tally.counts, flow.upstream.tally.counts


def closed(accounts: FlowAccounts, flow: FakeFlow, seconds: float = 0.5, connect_seconds: float = -1.0) -> None:
    accounts.closed(flow, flow.upstream, CloseReason.CLIENT_CLOSED, flow.carried, seconds, connect_seconds)
    accounts.settle()


def test_a_flow_that_is_over_is_counted_with_its_reason_bytes_and_time() -> None:
    accounts, flow, pool, endpoint = fresh()
    flow.carried = (30, 500)
    closed(accounts, flow, connect_seconds=0.002)
    assert pool[PoolCell.CLOSED + CloseReason.CLIENT_CLOSED.number] == 1
    assert (pool[PoolCell.RECEIVED_BYTES], pool[PoolCell.SENT_BYTES]) == (30, 500)
    assert (endpoint[EndpointCell.RECEIVED_BYTES], endpoint[EndpointCell.SENT_BYTES]) == (30, 500)
    assert (pool[PoolCell.DURATION_BUCKETS + 3], pool[PoolCell.DURATION_MILLISECONDS]) == (1, 500)
    assert (pool[PoolCell.CONNECT_BUCKETS + 4], pool[PoolCell.CONNECT_MICROSECONDS]) == (1, 2000)


def test_what_takes_longer_than_the_last_bound_has_a_bucket_too() -> None:
    accounts, flow, pool, _ = fresh()
    closed(accounts, flow, 1e7, 3600.0)
    assert pool[PoolCell.CONNECT_BUCKETS + 15] == 1
    assert pool[PoolCell.DURATION_BUCKETS + 9] == 1


def test_a_time_on_a_bound_belongs_below_it() -> None:
    accounts, flow, pool, _ = fresh()
    closed(accounts, flow, connect_seconds=0.0001)
    assert pool[PoolCell.CONNECT_BUCKETS] == 1


def test_a_flow_that_is_never_connected_has_no_connect_time() -> None:
    accounts, flow, pool, _ = fresh()
    closed(accounts, flow)
    assert sum(pool[PoolCell.CONNECT_BUCKETS : PoolCell.CONNECT_BUCKETS + 16]) == 0


def test_one_that_nobody_took_is_failed() -> None:
    accounts, flow, pool, _ = fresh()
    accounts.failed(flow.balancer, CloseReason.NO_ENDPOINTS)
    assert pool[PoolCell.FAILED + CloseReason.NO_ENDPOINTS.number] == 1
    assert sum(pool[PoolCell.CLOSED :]) == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans())))
def test_every_byte_is_counted_once_however_often_it_is_looked_at(steps: list[tuple[int, int, bool]]) -> None:
    accounts, flow, pool, endpoint = fresh()
    for now, (received, sent, looked_at) in enumerate(steps):
        flow.carried = (flow.carried[0] + received, flow.carried[1] + sent)
        flow.used = float(now)
        if looked_at:
            accounts.sample([flow], float(now))
            accounts.sample([flow], 0.0)
            assert pool[PoolCell.RECEIVED_BYTES] == flow.carried[0]
    closed(accounts, flow)
    assert (pool[PoolCell.RECEIVED_BYTES], pool[PoolCell.SENT_BYTES]) == flow.carried
    assert (endpoint[EndpointCell.RECEIVED_BYTES], endpoint[EndpointCell.SENT_BYTES]) == flow.carried


def test_however_many_flows_end_each_is_counted_once_and_no_later_than_asked() -> None:
    accounts, flow, pool, _ = fresh()
    for ended in range(1, 200):
        flow.carried = (1, 2)
        accounts.closed(flow, flow.upstream, CloseReason.CLIENT_CLOSED, flow.carried, 0.5)
        counted = pool[PoolCell.CLOSED + CloseReason.CLIENT_CLOSED.number]
        assert ended - 64 < counted <= ended
    accounts.settle()
    accounts.settle()
    assert pool[PoolCell.CLOSED + CloseReason.CLIENT_CLOSED.number] == 199
    assert (pool[PoolCell.RECEIVED_BYTES], pool[PoolCell.SENT_BYTES]) == (199, 398)


def test_a_flow_counts_for_the_rows_it_had_when_it_ended() -> None:
    accounts, flow, pool, endpoint = fresh()
    accounts.closed(flow, flow.upstream, CloseReason.CLIENT_CLOSED, (1, 2), 0.5)
    flow.balancer = Balancer(POOL, None, Random(1))
    flow.upstream.count_in(private_tally(ENDPOINTS))
    accounts.settle()
    assert (pool[PoolCell.SENT_BYTES], endpoint[EndpointCell.SENT_BYTES]) == (2, 2)


def test_one_that_is_still_dialling_or_was_not_used_is_left_alone() -> None:
    accounts, flow, pool, _ = fresh()
    accounts.sample([flow], 0.0)
    flow.carried = (5, 5)
    flow.used = 9.0
    accounts.sample([flow], 10.0)
    assert pool[PoolCell.RECEIVED_BYTES] == 0


def test_opening_refusing_and_retrying_are_counted_by_the_balancer() -> None:
    targets = (Target("10.0.0.1", 80), Target("10.0.0.2", 80))
    balancer = Balancer(Pool("web", "default/web", "", "TCP", "rr", "web", 0, 5.0, 0.0, targets), None, Random(1))
    first = balancer.choose("10.9.9.9", "", 0.0)
    assert isinstance(first, Upstream)
    balancer.refused(first, "10.9.9.9", 0.0)
    second = balancer.choose("10.9.9.9", "", 0.0, (first,))
    assert isinstance(second, Upstream)
    balancer.opened(second)
    pool = balancer.tally.counts
    assert (pool[PoolCell.EJECTIONS], pool[PoolCell.RETRIES], pool[PoolCell.OPENED]) == (1, 1, 1)
    assert first.tally.counts[EndpointCell.FAILED] == 1
    assert second.tally.counts[EndpointCell.OPENED] == 1
    first.began()
    balancer.refused(first, "10.9.9.9", 0.5)
    assert pool[PoolCell.EJECTIONS] == 1
