"""A table on the screen, of which only the rows in sight are made.

Thousands of lines in another order twice a second are no work: what costs is
what is drawn. Invariants: the cursor is on the first row until it is moved, and then stays with what it is on, by its
key; a column never shrinks while the columns and the width are the same, or the others would jump about with each
digit; names give way where STATE would be out of sight; text is shown as text, whatever is in it.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from proxy.client.columns import Column
from proxy.plain_text import plain

LEFT = frozenset(("SERVICE", "ENDPOINT", "POD", "PORT", "STATE"))
"""Columns whose cells stand at the left."""
_HEADER = 1
_LAST_IN_SIGHT = "STATE"
_LEAST_NAME = 12


class LineTable(ScrollView, can_focus=True):
    """`show` gives it lines; `Chosen` tells of the line that Enter or a click on the cursor's row chose."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"line-table--header", "line-table--cursor"}
    DEFAULT_CSS = """
    LineTable {
        background: $surface;
        & > .line-table--header { text-style: bold; background: $panel; color: $foreground; }
        & > .line-table--cursor { background: $block-cursor-background; color: $block-cursor-foreground; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Open", show=False),
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "A page up", show=False),
        Binding("pagedown", "page(1)", "A page down", show=False),
        Binding("home", "move(-1000000000)", "First", show=False),
        Binding("end", "move(1000000000)", "Last", show=False),
    ]

    class Chosen(Message):
        """The line with this key was chosen."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self) -> None:
        super().__init__()
        self.columns: tuple[Column, ...] = ()
        self.widths: list[int] = []
        self.lines: Sequence[Any] = ()
        self.cursor = 0
        self._key_of: Callable[[Any], str] = str
        self._under = ""
        self._moved = False
        self._drawn: dict[int, tuple[str, bool]] = {}

    def show(self, columns: tuple[Column, ...], lines: Sequence[Any], key_of: Callable[[Any], str]) -> None:
        """Show these lines, the cursor on the line that it was on, or else on the first."""
        if columns != self.columns:
            self.columns, self.widths, self._drawn = columns, [len(column.header) for column in columns], {}
            self._moved = False
        self.lines, self._key_of = lines, key_of
        under = (place for place, line in enumerate(lines) if self._moved and key_of(line) == self._under)
        self.cursor = next(under, 0)
        self._stay()
        self._fit()
        self._draw_what_differs()

    def cells(self, place: int) -> list[str]:
        """The cells of a line."""
        return [plain(column.text(self.lines[place])) for column in self.columns]

    def action_move(self, rows: int) -> None:
        """Move the cursor, as far as there are lines."""
        self._moved = True
        before, self.cursor = self.cursor, max(0, min(len(self.lines) - 1, self.cursor + rows))
        self._stay()
        for place in {before, self.cursor}:
            self.refresh_line(place + _HEADER)
        self._follow()

    def action_page(self, pages: int) -> None:
        """Move the cursor by what is in sight."""
        self.action_move(pages * max(1, self._in_sight))

    def action_choose(self) -> None:
        """Tell of the line under the cursor."""
        if self._under:
            self.post_message(self.Chosen(self._under))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; one on its row chooses."""
        place = event.y - _HEADER + self.scroll_offset.y
        if event.y < _HEADER or place >= len(self.lines):
            return
        if place == self.cursor:
            self.action_choose()
        else:
            self.action_move(place - self.cursor)

    def on_resize(self) -> None:
        self._fit()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._fit()

    def render_line(self, y: int) -> Strip:
        """The header, or a line in sight."""
        if y < _HEADER:
            text, name = self._row([column.header for column in self.columns]), "line-table--header"
        else:
            text, is_cursor = self._drawn[y] = self._line_at(y)
            name = "line-table--cursor" if is_cursor else ""
        style = self.get_component_rich_style(name) if name else self.rich_style
        width, left = self.size.width, self.scroll_offset.x
        shown = text[left : left + width].ljust(width)
        return Strip([Segment(shown, style)], width)

    @property
    def _in_sight(self) -> int:
        return self.size.height - _HEADER

    def _stay(self) -> None:
        """Remember what the cursor is on."""
        self._under = self._key_of(self.lines[self.cursor]) if self.lines else ""

    def _follow(self) -> None:
        """Scroll as far as it takes to see the cursor."""
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + self._in_sight:
            self.scroll_to(y=self.cursor - self._in_sight + 1, animate=False)

    def _fit(self) -> None:
        """Make the columns wide enough: the first for every line, the others for those in sight."""
        if not self.columns:
            return
        top = self.scroll_offset.y
        rows = [self.cells(place) for place in range(top, min(len(self.lines), top + self._in_sight))]
        first = max((len(plain(self.columns[0].text(line))) for line in self.lines), default=0)
        needed = zip(self.widths, *([len(cell) for cell in row] for row in rows), strict=True)
        widths = list(map(max, needed))
        widths[0] = self._width_of_names(max(self.widths[0], first), widths)
        if widths != self.widths:
            self.widths, self._drawn = widths, {}
            self.refresh()
        self.virtual_size = Size(sum(widths) + 2 * len(widths), len(self.lines) + _HEADER)

    def _width_of_names(self, wanted: int, widths: Sequence[int]) -> int:
        """As wide as is `wanted`, unless the columns up to STATE would not be in sight then."""
        headers = [column.header for column in self.columns]
        last = headers.index(_LAST_IN_SIGHT) if _LAST_IN_SIGHT in headers else len(headers) - 1
        room = self.size.width - sum(width + 2 for width in widths[1 : last + 1]) - 2
        return min(wanted, max(room, _LEAST_NAME))

    def _draw_what_differs(self) -> None:
        """Draw the lines in sight that are other than they were drawn."""
        if not self._drawn:
            self.refresh()
            return
        for y in range(_HEADER, self.size.height):
            if self._drawn.get(y) != self._line_at(y):
                self.refresh(Region(0, y, self.size.width, 1))

    def _line_at(self, y: int) -> tuple[str, bool]:
        """What a line of the widget says, and whether the cursor is there."""
        place = y - _HEADER + self.scroll_offset.y
        return (self._row(self.cells(place)), place == self.cursor) if place < len(self.lines) else ("", False)

    def _row(self, cells: Sequence[str]) -> str:
        cells = [_cut(each, width) for each, width in zip(cells[:1], self.widths, strict=False)] + [*cells[1:]]
        padded = (
            cell.ljust(width) if column.header in LEFT else cell.rjust(width)
            for column, cell, width in zip(self.columns, cells, self.widths, strict=True)
        )
        return "".join(f" {cell} " for cell in padded)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
