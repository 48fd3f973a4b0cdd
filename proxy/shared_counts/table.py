"""The table itself: a file in memory that every process of the proxy maps.

It is as large as the most that may be asked of it and sparse, so that it costs what was touched and never grows or
moves. The control process reads through the file and not through the map, because to look at an untouched page of a map
is to allocate it. Invariants: a cell is written whole (8 bytes, aligned), so a reader meets an old value or a new one;
a row that is given out anew begins at zero in every column.
"""

import mmap
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from operator import add

from proxy.shared_counts.layout import REGIONS, Region

_CELL = 8
_PIECES_AT_ONCE = 64
"""So many are read by one call, which is a megabyte or two: more would be a while."""


def added_up(row: "array[int]", width: int) -> list[int]:
    """The cells of a row, added up over its columns of so many cells."""
    cells = row.tolist()
    totals = cells[:width]
    for first in range(width, len(cells), width):
        totals = list(map(add, totals, cells[first : first + width]))
    return totals


class SharedTable:
    """The map of an open descriptor, which stays the caller's. `cells` is every cell, as a memoryview of format q."""

    def __init__(self, descriptor: int, columns: int) -> None:
        self.descriptor = descriptor
        self.columns = columns
        self._first: dict[str, int] = {}
        cells = 0
        for region in REGIONS:
            self._first[region.name] = cells
            cells += region.rows * region.width * columns
        self._map = mmap.mmap(descriptor, cells * _CELL)
        self._bytes = memoryview(self._map)
        self.cells = self._bytes.cast("q")

    @classmethod
    def create(cls, columns: int) -> "SharedTable":
        """A new, empty table for so many workers; its descriptor is closed by `close`."""
        descriptor = os.memfd_create("svcproxy counts", os.MFD_CLOEXEC)
        rows = sum(region.rows * region.width for region in REGIONS)
        os.ftruncate(descriptor, rows * columns * _CELL)
        return cls(descriptor, columns)

    def fileno(self) -> int:
        """The descriptor by which another process may map the table."""
        return self.descriptor

    def first_cell(self, region: Region, row: int, column: int = 0) -> int:
        """Where the column's block of the row begins in `cells`; the other columns' follow every `region.width`."""
        return self._first[region.name] + (row * self.columns + column) * region.width

    def column_of(self, region: Region, row: int, column: int) -> list[int]:
        """What one worker counted in a row, by cell."""
        return self._read(self.first_cell(region, row, column), region.width).tolist()

    def totals(self, region: Region, row: int) -> list[int]:
        """What all workers counted in a row, by cell."""
        return added_up(self._read(self.first_cell(region, row), region.width * self.columns), region.width)

    def touched_totals(self, region: Region, row: int) -> list[int]:
        """As `totals`, in half the time, of a row that was `touched`."""
        first, width, cells = self.first_cell(region, row), region.width, self.cells
        totals = cells[first : first + width].tolist()
        for other in range(first + width, first + width * self.columns, width):
            totals = list(map(add, totals, cells[other : other + width]))
        return totals

    def total(self, region: Region, rows: Iterable[int], counted: Sequence[int]) -> int:
        """What all workers counted in these cells of these rows, all together."""
        cells, width = self.cells, region.width
        step = width * self.columns
        start, total = self._first[region.name], 0
        for row in rows:
            first = start + row * step
            for cell in counted:
                for place in range(first + cell, first + step, width):
                    total += cells[place]
        return total

    def touched(self, region: Region) -> Iterator[int]:
        """The rows in which anything can have been counted, in order; the many others are zero."""
        width = region.width * self.columns
        for first, last in self._extents(region):
            yield from range(first // width, -(-last // width))

    def stretches(self, region: Region, rows: int) -> Iterator[tuple[int, bytes]]:
        """(first row, content) of each stretch of the region in which anything can have been counted, cut to whole
        pieces of so many rows, and where it is long into several; no two have a row in common."""
        piece = rows * region.width * self.columns
        done = 0
        for first, last in self._extents(region):
            first, end = max(first // piece, done), min(-(-last // piece), -(-region.rows // rows))
            while first < end:
                last = min(end, first + _PIECES_AT_ONCE)
                cells = min(last * piece, region.rows * region.width * self.columns) - first * piece
                place = self._first[region.name] + first * piece
                yield first * rows, os.pread(self.descriptor, cells * _CELL, place * _CELL)
                first = done = last

    def wipe(self, region: Region, row: int) -> None:
        """Begin the row anew. No worker may count in it meanwhile."""
        first = self.first_cell(region, row)
        size = region.width * self.columns
        self.cells[first : first + size] = memoryview(array("q", bytes(size * _CELL)))

    def clear_gauges(self, column: int) -> None:
        """The column's worker is gone, and with it whatever it had open."""
        for region in REGIONS:
            start, step = self._first[region.name], region.width * self.columns
            for first, last in self._extents(region):
                row = first // step
                rows = -(-last // step) - row
                zeros = memoryview(array("q", bytes(rows * _CELL)))
                for gauge in range(region.gauges):
                    cell = start + row * step + column * region.width + gauge
                    self.cells[cell : cell + rows * step : step] = zeros

    def close(self) -> None:
        """Let go of the map and the descriptor."""
        self.cells.release()
        self._bytes.release()
        self._map.close()
        os.close(self.descriptor)

    def _read(self, first: int, cells: int) -> "array[int]":
        return array("q", os.pread(self.descriptor, cells * _CELL, first * _CELL))

    def _extents(self, region: Region) -> Iterator[tuple[int, int]]:
        """(first, last + 1) cell of each stretch of the region that has memory behind it, from the region's start."""
        start = self._first[region.name]
        end = start + region.rows * region.width * self.columns
        position = start * _CELL
        while position < end * _CELL:
            try:
                found = os.lseek(self.descriptor, position, os.SEEK_DATA)
            except OSError:
                # ENXIO: nothing but a hole up to the end of the file.
                return
            position = os.lseek(self.descriptor, found, os.SEEK_HOLE)
            first, last = max(found // _CELL, start), min(-(-position // _CELL), end)
            if first >= end:
                return
            yield first - start, last - start
