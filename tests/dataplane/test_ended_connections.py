"""Connections that are over: how long they count, and where."""

from random import Random

from proxy.dataplane.balancer import Balancer
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.ended_connections import EndedConnections
from proxy.dataplane.upstream import Upstream
from proxy.plan.frontend import Target
from proxy.shared_counts.column import Column
from proxy.shared_counts.layout import ENDPOINTS, EndpointCell
from proxy.shared_counts.table import SharedTable
from tests.dataplane.test_balancer import pool

TARGET = Target("10.0.0.1", 80)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def counted(upstream: Upstream) -> tuple[int, int]:
    return upstream.active, upstream.inactive


def test_a_connection_counts_for_two_minutes_after_a_fin_and_ten_seconds_after_a_reset() -> None:
    clock, upstream = Clock(), Upstream(TARGET)
    ended = EndedConnections(clock)
    ended.add(upstream, CloseReason.BACKEND_CLOSED)
    ended.add(upstream, CloseReason.CLIENT_RESET)
    assert counted(upstream) == (0, 2)
    ended.expire(1009.0)
    assert counted(upstream) == (0, 2)
    ended.expire(1010.0)
    assert counted(upstream) == (0, 1)
    ended.expire(1119.0)
    assert ended
    ended.expire(1120.0)
    assert counted(upstream) == (0, 0)
    assert not ended


def test_another_worker_sees_what_is_over_and_nobody_takes_it_for_open() -> None:
    table = SharedTable.create(2)
    here, there = (Upstream(TARGET, Column(table, number).tally(ENDPOINTS, 7)) for number in range(2))
    ended = EndedConnections(Clock())
    here.began()
    here.ended()
    ended.add(here, CloseReason.CLIENT_CLOSED)
    there.look_elsewhere()
    assert counted(there) == (0, 1)
    assert here.open_here == there.open_here == 0
    cells = table.totals(ENDPOINTS, 7)
    assert (cells[EndpointCell.ACTIVE], cells[EndpointCell.INACTIVE], cells[EndpointCell.ENDED]) == (0, 0, 1)
    ended.expire(2000.0)
    there.look_elsewhere()
    assert counted(there) == (0, 0)


def test_an_upstream_that_is_counted_in_another_row_takes_what_is_over_along() -> None:
    column = Column(SharedTable.create(1), 0)
    upstream = Upstream(TARGET, column.tally(ENDPOINTS, 1))
    upstream.linger(2)
    upstream.count_in(column.tally(ENDPOINTS, 2))
    assert column.table.totals(ENDPOINTS, 1)[EndpointCell.ENDED] == 0
    assert column.table.totals(ENDPOINTS, 2)[EndpointCell.ENDED] == 2
    assert counted(upstream) == (0, 2)


def test_short_connections_one_after_the_other_go_round() -> None:
    targets = tuple(Target(f"10.0.0.{number}", 80) for number in (1, 2, 3))
    pool_of_three = Balancer(pool(*targets, scheduler="lc"), None, Random(1))
    ended = EndedConnections(Clock())
    met = []
    for _ in range(12):
        upstream = pool_of_three.choose("10.9.9.9", "10.96.0.1", 0.0)
        assert upstream is not None
        met.append(upstream.address)
        upstream.ended()
        if upstream.lingers:
            ended.add(upstream, CloseReason.CLIENT_CLOSED)
    assert met == ["10.0.0.3", "10.0.0.2", "10.0.0.1"] * 4
