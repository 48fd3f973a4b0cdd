"""The sweep: a row is free again only when nothing counts in it any more."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import pytest

from proxy.plan.frontend import Pool, Target
from proxy.shared_counts.column import Column, Tally
from proxy.shared_counts.layout import ENDPOINTS, POOLS, EndpointCell, PoolCell
from proxy.shared_counts.table import SharedTable
from proxy.workers import row_sweep
from proxy.workers.row_ledger import RowLease, RowLedger
from proxy.workers.row_sweep import sweep_once, sweep_rows


class Workers:
    """Two workers that have applied everything, and may count a last time before they say so."""

    def __init__(self, table: SharedTable) -> None:
        self.table = table
        self.asked = 0
        self.before: Callable[[], None] = lambda: None

    def when_applied(self, callback: Callable[[], None]) -> None:
        self.asked += 1
        self.before()
        callback()


@pytest.fixture
def workers() -> Iterator[Any]:
    table = SharedTable.create(2)
    yield Workers(table)
    table.close()


def pool(*addresses: str) -> Pool:
    targets = tuple(Target(address, 80) for address in addresses)
    return Pool("web", "default/web", "", "TCP", "rr", "web", 0, 5.0, 0.0, targets)


async def test_nothing_is_asked_while_nothing_was_left(workers: Any) -> None:
    ledger = RowLedger()
    ledger.hold(pool("10.0.0.1"))
    await sweep_once(ledger, workers)
    assert workers.asked == 0


async def test_a_row_with_an_open_flow_stays_whichever_worker_has_it(workers: Any) -> None:
    ledger = RowLedger()
    (row,) = ledger.hold(pool("10.0.0.1")).endpoints
    ledger.hold(pool())
    tally = Column(workers.table, 1).tally(ENDPOINTS, row)
    for cell in (EndpointCell.ACTIVE, EndpointCell.INACTIVE):
        tally.gauge(cell, 1)
        await sweep_once(ledger, workers)
        assert len(ledger.left()) == 1
        tally.gauge(cell, 0)
    await sweep_once(ledger, workers)
    assert ledger.left() == ()


async def test_a_row_that_is_given_out_anew_begins_at_zero(workers: Any) -> None:
    ledger = RowLedger()
    (row,) = ledger.hold(pool("10.0.0.1")).endpoints
    column = Column(workers.table, 0)
    tally = column.tally(ENDPOINTS, row)
    tally.counts[EndpointCell.OPENED] = 7
    tally.touch()
    ledger.hold(pool())
    # What is counted last is written before the second answer.
    workers.before = column.flush
    await sweep_once(ledger, workers)
    assert ledger.hold(pool("10.0.0.9")).endpoints == (row,)
    assert workers.table.totals(ENDPOINTS, row) == [0] * ENDPOINTS.width


async def test_an_endpoint_that_comes_back_meanwhile_keeps_its_counts(workers: Any) -> None:
    ledger = RowLedger()
    (row,) = ledger.hold(pool("10.0.0.1")).endpoints
    Column(workers.table, 0).tally(ENDPOINTS, row).gauge(EndpointCell.ACTIVE, 2)
    ledger.hold(pool())
    workers.before = lambda: ledger.hold(pool("10.0.0.1"))
    await sweep_once(ledger, workers)
    assert workers.table.totals(ENDPOINTS, row)[EndpointCell.ACTIVE] == 2


async def test_a_pool_that_is_gone_leaves_nothing(workers: Any) -> None:
    ledger = RowLedger()
    ledger.hold(pool("10.0.0.1", "10.0.0.2"))
    ledger.drop("web")
    await sweep_once(ledger, workers)
    await sweep_once(ledger, workers)
    assert ledger.left() == ()


async def test_after_each_change_is_swept_until_no_row_is_left(workers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_sweep, "INTERVAL", 0.001)
    ledger, changed, freed = RowLedger(), asyncio.Event(), asyncio.Event()
    release = ledger.release

    def release_and_tell(lease: RowLease, cells: Sequence[int]) -> None:
        release(lease, cells)
        freed.set()

    monkeypatch.setattr(ledger, "release", release_and_tell)
    sweeping = asyncio.create_task(sweep_rows(ledger, workers, changed))
    for _ in range(2):
        (row,) = ledger.hold(pool("10.0.0.1")).endpoints
        tally = Column(workers.table, 0).tally(ENDPOINTS, row)
        tally.gauge(EndpointCell.ACTIVE, 1)
        enough = workers.asked + 6

        def end_after_some_looks(tally: Tally = tally, enough: int = enough) -> None:
            if workers.asked == enough:
                tally.gauge(EndpointCell.ACTIVE, 0)

        workers.before = end_after_some_looks
        ledger.hold(pool())
        changed.set()
        await asyncio.wait_for(freed.wait(), 20)
        freed.clear()
        assert workers.asked >= enough
        assert ledger.left() == ()
    sweeping.cancel()


async def test_the_counts_of_a_pool_come_to_its_port_when_its_row_is_freed(workers: Any) -> None:
    ledger = RowLedger()
    staying = msgspec.structs.replace(pool("10.0.0.1"), key="web/local")
    ledger.hold(staying)
    rows = ledger.hold(pool("10.0.0.1"))
    column = Column(workers.table, 1)
    tally = column.tally(POOLS, rows.pool)
    tally.counts[PoolCell.OPENED] = 7
    tally.touch()
    ledger.drop("web")
    workers.before = column.flush
    while ledger.left():
        await sweep_once(ledger, workers)
    assert ledger.departed()[staying.service_port][PoolCell.OPENED] == 7
    assert workers.table.totals(POOLS, rows.pool) == [0] * POOLS.width
