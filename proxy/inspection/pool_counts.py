"""What the workers count of the pools' endpoints at this moment, added up.

Invariant: what is told of a pool is in the order of its targets.
"""

from collections.abc import Sequence

from proxy.reports.live_frame import EndpointCounts
from proxy.shared_counts.column import NO_ROW
from proxy.shared_counts.layout import ENDPOINTS, EndpointCell
from proxy.shared_counts.table import SharedTable
from proxy.workers.row_ledger import RowLedger

_NOTHING = EndpointCounts()


class PoolCounts:
    """Reads the table by the ledger's rows."""

    def __init__(self, table: SharedTable, ledger: RowLedger) -> None:
        self._table = table
        self._ledger = ledger

    def of(self, key: str) -> tuple[EndpointCounts, ...]:
        """The counts of a pool's endpoints, in the order of its targets; none for a pool that is not known."""
        rows = self._ledger.rows_of(key)
        return tuple(map(self._count, rows.endpoints)) if rows is not None else ()

    def _count(self, row: int) -> EndpointCounts:
        return endpoint_counts(self._table.totals(ENDPOINTS, row)) if row != NO_ROW else _NOTHING


def endpoint_counts(cells: Sequence[int]) -> EndpointCounts:
    """A row's cells, by EndpointCell, added up over the workers."""
    return EndpointCounts(
        active=cells[EndpointCell.ACTIVE],
        inactive=cells[EndpointCell.INACTIVE],
        failing=int(cells[EndpointCell.FAILING] > 0),
        opened=cells[EndpointCell.OPENED],
        failed=cells[EndpointCell.FAILED],
        received=cells[EndpointCell.RECEIVED_BYTES],
        sent=cells[EndpointCell.SENT_BYTES],
    )
