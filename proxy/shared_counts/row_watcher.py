"""Which rows of a region are other than they were.

Imports this room. Thousands of rows are compared twice a second, so they are read in stretches and compared in
pieces: what nobody counted in costs a comparison of memory and no more. Invariant: a row is told if and only if a cell
of it, in any column, is other than at the call before.
"""

from array import array
from collections.abc import Iterator

from proxy.shared_counts.layout import Region
from proxy.shared_counts.table import SharedTable, added_up

_ROWS_AT_ONCE = 64


class RowWatcher:
    """Remembers a region as of the last call of `changed`; at first, everything was zero."""

    def __init__(self, table: SharedTable, region: Region) -> None:
        self._table = table
        self._region = region
        self._row_bytes = 8 * region.width * table.columns
        self._pieces: dict[int, bytes] = {}

    def changed(self) -> dict[int, list[int]]:
        """The rows that changed since the last call, with their cells as of now, added up over the columns."""
        before, self._pieces = self._pieces, dict(self._read())
        rows: dict[int, list[int]] = {}
        for number in before.keys() | self._pieces.keys():
            old, new = before.get(number, b""), self._pieces.get(number, b"")
            if old != new:
                rows.update(self._differing(number * _ROWS_AT_ONCE, old, new))
        return rows

    def _read(self) -> Iterator[tuple[int, bytes]]:
        """The touched pieces of the region, by their number."""
        size = _ROWS_AT_ONCE * self._row_bytes
        for first, content in self._table.stretches(self._region, _ROWS_AT_ONCE):
            for start in range(0, len(content), size):
                yield first // _ROWS_AT_ONCE + start // size, content[start : start + size]

    def _differing(self, first: int, old: bytes, new: bytes) -> Iterator[tuple[int, list[int]]]:
        size = self._row_bytes
        length = max(len(old), len(new))
        old, new = old.ljust(length, b"\0"), new.ljust(length, b"\0")
        for start in range(0, length, size):
            row = new[start : start + size]
            if old[start : start + size] != row:
                yield first + start // size, added_up(array("q", row), self._region.width)
