"""What one worker writes: its column of the table.

Counting must cost little, so counters are plain integers that a flush writes all at once, four times a second; gauges
are written the moment they change, since other workers choose by them. Invariants: a flush writes what changed since
the last one and nothing else; a worker that takes a dead one's place counts on from what it left; row 0 is nobody's,
and what is counted in it stays with who counts.
"""

from array import array
from collections.abc import MutableSequence
from typing import Final, cast

from proxy.shared_counts.layout import WORKERS, Region, WorkerCell
from proxy.shared_counts.table import SharedTable

NO_ROW: Final = 0
"""The row of what is not counted: there are more of its kind than the table has rows for."""


class Tally:
    """One worker's counts in one row. `counts` is by cell: add to a counter, then `touch`. A gauge is written straight
    into `cells`, at `first` plus its number; `elsewhere` is where the other columns' blocks of the row begin. `touched`
    is whether the next flush writes it already, for those who count with every connection."""

    __slots__ = ("_region", "_touched_ones", "cells", "counts", "elsewhere", "first", "row", "touched")

    def __init__(
        self,
        region: Region,
        row: int,
        cells: MutableSequence[int],
        first: int,
        elsewhere: tuple[int, ...],
        touched_ones: "list[Tally]",
    ) -> None:
        self._region = region
        self._touched_ones = touched_ones
        self.cells = cells
        self.elsewhere = elsewhere
        self.first = first
        self.row = row
        self.touched = False
        self.counts = list(cells[first : first + region.width])

    def touch(self) -> None:
        """The next flush shall write the counters."""
        if not self.touched:
            self.touched = True
            self._touched_ones.append(self)

    def gauge(self, cell: int, value: int) -> None:
        """Write a gauge now."""
        self.cells[self.first + cell] = value

    def write(self) -> None:
        """Write the counters now."""
        self.touched = False
        region, first = self._region, self.first
        counters = memoryview(array("q", self.counts[region.gauges :]))
        self.cells[first + region.gauges : first + region.width] = counters


def private_tally(region: Region) -> Tally:
    """Counts that nobody else sees."""
    return Tally(region, NO_ROW, [0] * region.width, 0, (), [])


class Column:
    """The column with this number. `own` counts for the worker as a whole."""

    __slots__ = ("_others", "_touched", "number", "own", "table")

    def __init__(self, table: SharedTable, number: int) -> None:
        self._touched: list[Tally] = []
        self._others = tuple(other for other in range(table.columns) if other != number)
        self.table = table
        self.number = number
        self.own = self._tally(WORKERS, 0)

    @property
    def is_alone(self) -> bool:
        """Whether there are no other workers to look at."""
        return self.table.columns == 1

    def tally(self, region: Region, row: int) -> Tally:
        """This worker's counts in a row, as they are in the table."""
        return private_tally(region) if row == NO_ROW else self._tally(region, row)

    def flush(self) -> None:
        """Write what was counted since the last flush."""
        for tally in self._touched:
            tally.write()
        self._touched.clear()
        self.own.counts[WorkerCell.FLUSHES] += 1
        self.own.write()

    def _tally(self, region: Region, row: int) -> Tally:
        table, width = self.table, region.width
        start = table.first_cell(region, row)
        elsewhere = tuple([start + other * width for other in self._others]) if self._others else ()
        cells = cast("MutableSequence[int]", table.cells)
        return Tally(region, row, cells, start + self.number * width, elsewhere, self._touched)
