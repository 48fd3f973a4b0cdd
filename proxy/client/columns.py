"""Columns: how things of one kind become a table, sorted and in kubectl's form.

Invariant: a row has a cell for each column that is shown, whatever the thing.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from proxy.reports.table import render_table

Cell = Callable[[Any], str]


GONE = "gone"


class Column(NamedTuple):
    """`text` makes the cell of a thing; `order` is what the column is sorted by, the text where it is None. `wide` is
    shown with `-o wide` alone, `narrow` without it alone; what `passing` says changes with time by itself, which is no
    news to a watch; `gone` is what it says of a thing that has gone, where that is not what it said last."""

    header: str
    text: Cell
    order: Callable[[Any], Any] | None = None
    wide: bool = False
    narrow: bool = False
    passing: bool = False
    gone: str = ""


def shown(columns: Iterable[Column], wide: bool) -> tuple[Column, ...]:
    """Those that a table has."""
    return tuple(column for column in columns if not (column.narrow if wide else column.wide))


def sort(things: Iterable[Any], columns: Sequence[Column], by: str) -> list[Any]:
    """Sorted by the column `by`; numbers from the highest down, as whoever sorts by them wants to see those first.

    Raises ValueError, naming what there is, where there is no such column.
    """
    wanted = by.upper().removesuffix("-")
    column = next((each for each in columns if each.header == wanted), None)
    if column is None:
        raise ValueError(f'there is no column "{by}" to sort by: it is one of {", ".join(c.header for c in columns)}')
    key = column.order or column.text
    found = list(things)
    numeric = bool(found) and isinstance(key(found[0]), int | float)
    return sorted(found, key=key, reverse=numeric != by.endswith("-"))


def render(things: Iterable[Any], columns: Sequence[Column], headers: bool = True) -> str:
    """The table as text."""
    rows = [[column.text(thing) for column in columns] for thing in things]
    text = render_table([column.header for column in columns], rows)
    return text if headers else text.partition("\n")[2]
