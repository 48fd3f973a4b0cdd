"""The screen of `svcproxy top`.

Invariants: it fits 80 by 24; a look draws only the lines in sight that differ, so that nothing flickers and it costs
the same for ten Services and for ten thousand.
"""

from collections.abc import Sequence
from time import monotonic
from typing import ClassVar, Protocol

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Input, Static

from proxy.client.columns import Column, shown
from proxy.client.line_table import LineTable
from proxy.client.rate_meter import EndpointLine, ServiceLine
from proxy.client.top_columns import ENDPOINTS, SERVICES
from proxy.client.top_text import Line, endpoints, services

_WIDE = 110
"""From so many columns on, the wide ones are shown too."""


class Feed(Protocol):
    """What the screen shows."""

    server: str
    fault: str

    def measure(self, now: float) -> list[ServiceLine]: ...

    def summary(self) -> str: ...


class TopScreen(App[int]):
    """`by` is the column it is sorted by; `service` the one whose endpoints are shown (`namespace/name`), or empty for
    all Services whose name begins with `namespace`."""

    CSS = """
    Screen { layout: vertical; }
    #summary { height: 1; text-style: bold; }
    #what { height: 1; color: $text-muted; }
    LineTable { height: 1fr; }
    #filter { height: 1; border: none; padding: 0; }
    """
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "sort('CONN/S')", "Conn"),
        Binding("a", "sort('ACTIVE')", "Active"),
        Binding("i", "sort('IN/S')", "In"),
        Binding("o", "sort('OUT/S')", "Out"),
        Binding("f", "sort('FAIL/S')", "Fail"),
        Binding("n", "sort('')", "Name"),
        # Of priority, so that what is typed right behind it is the field's already.
        Binding("slash", "filter", "Filter", key_display="/", priority=True),
        Binding("escape", "back", "Back"),
        Binding("p", "hold", "Hold"),
        Binding("q", "quit", "Quit"),
    ]

    def __init__(self, feed: Feed, *, delay: float, by: str, service: str = "", namespace: str = "") -> None:
        super().__init__()
        self._feed = feed
        self._delay = delay
        self._by = by.upper()
        self._service = service
        self._namespace = namespace
        self._wanted = ""
        self._held = False
        self._lines: list[ServiceLine] = []

    def compose(self) -> ComposeResult:
        yield Static(id="summary", markup=False)
        yield Static(id="what", markup=False)
        yield LineTable()
        yield Input(id="filter", placeholder="show only what has this in its name")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._leave_field()
        self.look()
        self.set_interval(self._delay, self.look)

    def look(self) -> None:
        """Look at the feed, and show what it has."""
        if not self._held:
            self._lines = self._feed.measure(monotonic())
        self._draw()

    def action_sort(self, header: str) -> None:
        """Sort by a column, the first where it is empty; the other way round if it is that one already."""
        header = header or self._all_columns()[0].header
        self._by = f"{header}-" if self._by == header else header
        self._draw()

    def action_filter(self) -> None:
        """Ask for a text; while it is typed, a stroke as any other."""
        field = self.query_one("#filter", Input)
        if field.has_focus:
            field.insert_text_at_cursor("/")
        field.display = True
        self.screen.set_focus(field)

    async def action_back(self) -> None:
        """Out of the field, out of the filter, out of the Service: whatever is the innermost."""
        field = self.query_one("#filter", Input)
        if field.display or self._wanted:
            field.value = self._wanted = ""
            self._leave_field()
        else:
            self._open("")
        self._draw()

    def action_hold(self) -> None:
        """Hold the picture, or let it go on."""
        self._held = not self._held
        self._draw()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._wanted = event.value
        self._draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._leave_field()

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        if not self._service:
            self._wanted = self.query_one("#filter", Input).value = ""
            self._open(event.key)
            self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _leave_field(self) -> None:
        self.query_one("#filter", Input).display = False
        self.screen.set_focus(self.query_one(LineTable))

    def _open(self, service: str) -> None:
        self._service = service
        if self._by.removesuffix("-") not in [column.header for column in self._all_columns()]:
            self._by = "CONN/S"

    def _all_columns(self) -> tuple[Column, ...]:
        return ENDPOINTS if self._service else SERVICES

    def _shown_lines(self) -> Sequence[Line]:
        if self._service:
            return endpoints(self._lines, self._service, self._by, self._wanted)
        within = (line for line in self._lines if line.name.startswith(self._namespace))
        return services(within, self._by, self._wanted)

    def _draw(self) -> None:
        self._draw_head()
        columns = shown(self._all_columns(), wide=self.size.width >= _WIDE)
        self.query_one(LineTable).show(columns, self._shown_lines(), _key_of)

    def _draw_head(self) -> None:
        fault = self._feed.fault
        self.query_one("#summary", Static).update(fault or f"{self._feed.server}: {self._feed.summary()}")
        what = f"endpoints of {self._service}" if self._service else f"Services {self._namespace}".strip()
        order = self._by.removesuffix("-").lower() + (" reversed" if self._by.endswith("-") else "")
        words = [what, f"by {order}"]
        if self._wanted:
            words.append(f'with "{self._wanted}"')
        if self._held:
            words.append("held")
        self.query_one("#what", Static).update(", ".join(words))


def _key_of(line: Line) -> str:
    if isinstance(line, EndpointLine):
        return f"{line.pool.key} {line.endpoint.address} {line.endpoint.port}"
    return line.name
