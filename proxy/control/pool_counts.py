"""What the workers count of the pools' endpoints at this moment, added up.

Imports `shared_counts`, `admin` and this room. Invariant: pools that no client has used are not looked at, so that to
read ten thousand Services costs what was used of them.
"""

from proxy.admin.live_frame import EndpointCounts
from proxy.control.row_ledger import RowLedger
from proxy.shared_counts.column import NO_ROW
from proxy.shared_counts.layout import ENDPOINTS, POOLS, EndpointCell
from proxy.shared_counts.table import SharedTable

_NOTHING = EndpointCounts()


class PoolCounts:
    """Reads the table by the ledger's rows."""

    def __init__(self, table: SharedTable, ledger: RowLedger) -> None:
        self._table = table
        self._ledger = ledger

    def used(self) -> list[str]:
        """The pools of which anything can have been counted."""
        touched = frozenset(self._table.touched(POOLS))
        return [key for key, row in self._ledger.held() if row in touched]

    def of(self, key: str) -> tuple[EndpointCounts, ...]:
        """The counts of a pool's endpoints, in the order of its targets; none for a pool that is not known."""
        rows = self._ledger.rows_of(key)
        return tuple(map(self._count, rows.endpoints)) if rows is not None else ()

    def _count(self, row: int) -> EndpointCounts:
        if row == NO_ROW:
            return _NOTHING
        cells = self._table.totals(ENDPOINTS, row)
        return EndpointCounts(
            active=cells[EndpointCell.ACTIVE],
            inactive=cells[EndpointCell.INACTIVE],
            failing=int(cells[EndpointCell.FAILING] > 0),
            opened=cells[EndpointCell.OPENED],
            failed=cells[EndpointCell.FAILED],
            received=cells[EndpointCell.RECEIVED_BYTES],
            sent=cells[EndpointCell.SENT_BYTES],
        )
