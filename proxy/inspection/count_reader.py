"""Reads the live counts of every endpoint, and says which of them moved.

The table is compared as memory, and of the rows that changed it is looked up which endpoint has them; so a look costs
what moved and not what there is. Invariant: a reader remembers what it said, and nothing else does.
"""

from collections.abc import Generator, Mapping

from proxy.inspection.pool_counts import PoolCounts, endpoint_counts
from proxy.reports.live_frame import EndpointCounts
from proxy.shared_counts.layout import ENDPOINTS
from proxy.shared_counts.row_watcher import RowWatcher
from proxy.shared_counts.table import SharedTable
from proxy.workers.row_ledger import RowLedger


class CountReader:
    """`table` and `ledger` are read anew with every call of `changed`."""

    def __init__(self, table: SharedTable, ledger: RowLedger) -> None:
        self._ledger = ledger
        self._counts = PoolCounts(table, ledger)
        self._watcher = RowWatcher(table, ENDPOINTS)
        self._places: dict[int, tuple[str, int]] = {}

    def changed(self) -> Generator[None, None, dict[str, dict[int, EndpointCounts]]]:
        """By pool and place, what is other than at the last call; the work of it in steps."""
        rows: dict[int, tuple[int, ...]] = {}
        for piece in self._watcher.changed():
            rows.update(piece)
            yield
        missing = set[int]()
        for row in rows:
            if not self._is_in_place(row):
                missing.add(row)
            yield
        yield from self._find(missing)
        changed: dict[str, dict[int, EndpointCounts]] = {}
        for row, cells in rows.items():
            if row in self._places:
                key, place = self._places[row]
                changed.setdefault(key, {})[place] = endpoint_counts(cells)
            yield
        return changed

    def all_of(self, pool: str) -> Mapping[int, EndpointCounts]:
        """Every endpoint's counts."""
        return dict(enumerate(self._counts.of(pool)))

    def _is_in_place(self, row: int) -> bool:
        """Whether it is known where the row is, and still so."""
        key, place = self._places.get(row, ("", 0))
        rows = self._ledger.endpoint_rows(key)
        return place < len(rows) and rows[place] == row

    def _find(self, missing: set[int]) -> Generator[None, None, None]:
        """Find the endpoints of these rows. A row that no endpoint has counts for one that left."""
        for row in missing:
            self._places.pop(row, None)
        for key in [key for key, _ in self._ledger.held()] if missing else ():
            rows = self._ledger.endpoint_rows(key)
            if not missing.isdisjoint(rows):
                self._places.update((row, (key, place)) for place, row in enumerate(rows) if row in missing)
            yield
