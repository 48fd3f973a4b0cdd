"""Columns of text as kubectl prints them.

Invariant: three spaces between columns, no column narrower than six, nothing after the last cell of a line (kubectl's
tabwriter: k8s.io/cli-runtime/pkg/printers); whatever a cell holds, a row is one line.
"""

from collections.abc import Iterable, Sequence

from proxy.plain_text import plain

_PADDING = 3
_NARROWEST = 6


def render_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The lines of a table, each ended by a newline. Every row has as many cells as `header`."""
    lines = [header, *([plain(cell) for cell in row] for row in rows)]
    widths = [max(_NARROWEST, _PADDING + max(map(len, column))) for column in zip(*lines, strict=True)]
    return "".join(_line(cells, widths) for cells in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells[:-1], widths, strict=False)]
    return "".join([*padded, cells[-1]]) + "\n"
