"""What one worker writes: its column of the table.

Imports this room. Counting must cost little, so counters are plain integers that a flush writes all at once, four
times a second; gauges are written the moment they change, since other workers choose by them. Invariant: a flush
writes what changed since the last one and nothing else, and a worker that takes a dead one's place counts on from
what it left.
"""

from array import array

from proxy.shared_counts.layout import WORKERS, Region, WorkerCell
from proxy.shared_counts.table import SharedTable


class Tally:
    """This worker's counters in one row. `counts` is by cell: add to it, then `touch`."""

    __slots__ = ("_column", "_first", "_region", "_touched", "counts", "row")

    def __init__(self, column: "Column", region: Region, row: int) -> None:
        self._column = column
        self._region = region
        self._first = column.table.first_cell(region, row, column.number)
        self._touched = False
        self.row = row
        self.counts = column.table.column_of(region, row, column.number)

    def touch(self) -> None:
        """The next flush shall write the counters."""
        if not self._touched:
            self._touched = True
            self._column.touched.append(self)

    def gauge(self, cell: int, value: int) -> None:
        """Write a gauge now."""
        self._column.table.cells[self._first + cell] = value

    def write(self) -> None:
        """Write the counters now."""
        self._touched = False
        region, first = self._region, self._first
        counters = memoryview(array("q", self.counts[region.gauges :]))
        self._column.table.cells[first + region.gauges : first + region.width] = counters


class Column:
    """The column with this number. `touched` are the tallies that the next flush writes, `own` the worker's own."""

    __slots__ = ("number", "own", "table", "touched")

    def __init__(self, table: SharedTable, number: int) -> None:
        self.table = table
        self.number = number
        self.touched: list[Tally] = []
        self.own = Tally(self, WORKERS, 0)

    def tally(self, region: Region, row: int) -> Tally:
        """This worker's counters in a row, as they are in the table."""
        return Tally(self, region, row)

    def flush(self) -> None:
        """Write what was counted since the last flush, and that it is written."""
        touched, self.touched = self.touched, []
        for tally in touched:
            tally.write()
        self.own.counts[WorkerCell.FLUSHES] += 1
        self.own.write()
