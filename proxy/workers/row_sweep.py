"""Frees the rows of the shared table that what they counted has left.

Invariants: a row is given out anew only when no worker can write to it any more: every worker has learnt that its pool
or endpoint is gone, nothing that it counted is open, and what was counted up to then has been written. While no row was
left, nothing runs.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

from proxy.shared_counts.layout import ENDPOINTS, EndpointCell
from proxy.shared_counts.table import SharedTable
from proxy.workers.data_plane import DataPlane
from proxy.workers.row_ledger import RowLease, RowLedger

INTERVAL = 1.0
"""Seconds between two looks."""

_AT_A_TIME = 32
"""Rows looked at or wiped before the loop has its turn: a fraction of a millisecond."""


async def sweep_rows(ledger: RowLedger, data_plane: DataPlane, changed: asyncio.Event) -> None:
    """Free rows for as long as the task runs. `changed` is set whenever rows may have been left."""
    while True:
        await changed.wait()
        changed.clear()
        while ledger.left():
            await asyncio.sleep(INTERVAL)
            await sweep_once(ledger, data_plane)


async def sweep_once(ledger: RowLedger, data_plane: DataPlane) -> None:
    """Free what can be freed now."""
    left = ledger.left()
    if not left:
        return
    await _applied(data_plane)
    quiet = [lease async for lease in _unhurried(left) if _is_quiet(data_plane.table, lease) and ledger.retire(lease)]
    # What was counted up to here is written with the next answer.
    await _applied(data_plane)
    async for lease in _unhurried(quiet):
        cells = data_plane.table.totals(lease.region, lease.row) if ledger.is_departing(lease) else ()
        data_plane.table.wipe(lease.region, lease.row)
        ledger.release(lease, cells)


async def _unhurried(leases: Sequence[RowLease]) -> AsyncIterator[RowLease]:
    """A few at a time, with turns for everybody else on the loop in between."""
    for number, lease in enumerate(leases, 1):
        yield lease
        if not number % _AT_A_TIME:
            await asyncio.sleep(0)


def _is_quiet(table: SharedTable, lease: RowLease) -> bool:
    """Whether the row counts nothing that will end. A pool counts what ended: it is quiet when its endpoints are."""
    if lease.region is not ENDPOINTS:
        return True
    cells = table.totals(ENDPOINTS, lease.row)
    return not any(cells[each] for each in (EndpointCell.ACTIVE, EndpointCell.INACTIVE, EndpointCell.ENDED))


async def _applied(data_plane: DataPlane) -> None:
    applied = asyncio.Event()
    data_plane.when_applied(applied.set)
    await applied.wait()
