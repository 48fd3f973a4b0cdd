"""Which rows of a region are other than they were.

Thousands of rows are compared twice a second, so they are read in stretches and compared in pieces: what nobody counted
in costs a comparison of memory and no more. Invariant: a row is told if and only if a cell of it, in any column, is
other than at the call before.
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

    def changed(self) -> Iterator[dict[int, tuple[int, ...]]]:
        """The rows that changed since the last call, with their cells as of now, added up over the columns: a piece of
        the region at a time, many of them empty. Whoever does not go to the end misses what was not told."""
        before, self._pieces = self._pieces, {}
        for number, new in self._read():
            self._pieces[number] = new
            old = before.pop(number, b"")
            yield dict(self._differing(number * _ROWS_AT_ONCE, old, new)) if old != new else {}
        for number, old in before.items():
            yield dict(self._differing(number * _ROWS_AT_ONCE, old, b""))

    def _read(self) -> Iterator[tuple[int, bytes]]:
        """The touched pieces of the region, by their number."""
        size = _ROWS_AT_ONCE * self._row_bytes
        for first, content in self._table.stretches(self._region, _ROWS_AT_ONCE):
            for start in range(0, len(content), size):
                yield first // _ROWS_AT_ONCE + start // size, content[start : start + size]

    def _differing(self, first: int, old: bytes, new: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
        size = self._row_bytes
        length = max(len(old), len(new))
        old, new = old.ljust(length, b"\0"), new.ljust(length, b"\0")
        for start in range(0, length, size):
            row = new[start : start + size]
            if old[start : start + size] != row:
                yield first + start // size, tuple(added_up(array("q", row), self._region.width))
