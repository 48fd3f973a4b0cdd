"""The table of which only what is in sight is made."""

from typing import Any

import pytest
from textual.app import App, ComposeResult

from proxy.client.columns import Column
from proxy.client.line_table import LineTable

HEIGHT = 12
IN_SIGHT = HEIGHT - 1


class Shown(App[None]):
    """An app that is a table of numbers, and what was chosen in it."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[int] = []
        self.chosen: list[str] = []
        self.columns: tuple[Column, ...] = (
            Column("SERVICE", lambda number: f"s{number}"),
            Column("NUMBER", self._number),
        )

    def _number(self, number: int) -> str:
        self.made.append(number)
        return str(number)

    def compose(self) -> ComposeResult:
        yield LineTable()

    def on_line_table_chosen(self, event: LineTable.Chosen) -> None:
        self.chosen.append(event.key)

    @property
    def table(self) -> LineTable:
        return self.query_one(LineTable)

    def show(self, lines: Any) -> None:
        self.table.show(self.columns, lines, str)

    def text(self) -> list[str]:
        """The lines of the widget as they are drawn."""
        return [self.table.render_line(y).text.rstrip() for y in range(self.table.size.height)]


@pytest.fixture
def app() -> Shown:
    return Shown()


async def test_the_lines_stand_below_the_header_in_columns(app: Shown) -> None:
    async with app.run_test(size=(30, HEIGHT)) as pilot:
        app.show([1, 2000])
        await pilot.pause()
        assert app.text()[:4] == [" SERVICE  NUMBER", " s1            1", " s2000      2000", ""]


async def test_of_many_lines_only_those_in_sight_are_made(app: Shown) -> None:
    async with app.run_test(size=(30, HEIGHT)) as pilot:
        for order in (1, -1):
            app.made.clear()
            app.show(range(100_000)[::order])
            await pilot.pause()
            assert len(set(app.made)) <= 2 * IN_SIGHT


async def test_the_keys_move_the_cursor_and_what_is_in_sight(app: Shown) -> None:
    async with app.run_test(size=(30, HEIGHT)) as pilot:
        app.show(range(1000))
        for keys, cursor, first in (
            (("down", "down", "up"), 1, 0),
            (("pagedown",), 12, 2),
            (("end",), 999, 999 - IN_SIGHT + 1),
            (("down",), 999, 999 - IN_SIGHT + 1),
            (("pageup",), 988, 988),
            (("home", "up"), 0, 0),
        ):
            await pilot.press(*keys)
            await pilot.pause()
            assert (app.table.cursor, app.text()[1].split()[0]) == (cursor, f"s{first}")


async def test_enter_and_a_click_on_the_cursor_choose(app: Shown) -> None:
    async with app.run_test(size=(30, HEIGHT)) as pilot:
        app.show(range(1000))
        await pilot.press("down", "enter")
        await pilot.click(LineTable, offset=(3, 5))
        assert (app.chosen, app.table.cursor) == (["1"], 4)
        await pilot.click(LineTable, offset=(3, 5))
        await pilot.click(LineTable, offset=(3, 0))
        assert app.chosen == ["1", "4"]


async def test_the_cursor_stays_with_its_line_or_goes_to_the_first(app: Shown) -> None:
    async with app.run_test(size=(30, HEIGHT)) as pilot:
        app.show(range(100))
        await pilot.press("down", "down")
        app.show(range(50)[::-1])
        assert app.table.cursor == 47
        app.show([7, 8])
        assert app.table.cursor == 0
        app.show([])
        await pilot.press("enter", "down", "pageup", "end")
        assert (app.chosen, app.text()[1:]) == ([], [""] * IN_SIGHT)


async def test_a_column_is_never_narrower_than_it_was(app: Shown) -> None:
    async with app.run_test(size=(30, HEIGHT)):
        app.show([10**8])
        app.show([1])
        assert app.table.widths == [10, 9]


async def test_what_a_name_has_for_a_terminal_is_not_told_to_it(app: Shown) -> None:
    async with app.run_test(size=(60, HEIGHT)) as pilot:
        app.columns = (Column("SERVICE", lambda text: text),)
        app.show(["a\x1b[31m[bold]b\n"])
        await pilot.pause()
        assert app.text()[1] == " a\\x1b[31m[bold]b\\n"


async def test_the_cursor_is_on_the_first_row_until_it_is_moved(app: Shown) -> None:
    async with app.run_test(size=(30, HEIGHT)) as pilot:
        app.show([1, 2, 3])
        app.show([3, 1, 2])
        assert app.table.cursor == 0
        await pilot.press("down")
        app.show([1, 2, 3])
        assert app.table.cursor == 0
        app.show([3, 2, 1])
        assert app.table.cursor == 2


async def test_names_give_way_where_the_state_would_be_out_of_sight(app: Shown) -> None:
    app.columns = (
        Column("SERVICE", lambda name: name),
        Column("FAIL/S", lambda _: "0"),
        Column("STATE", lambda _: "ok"),
    )
    async with app.run_test(size=(40, HEIGHT)) as pilot:
        app.show(["a" * 100])
        await pilot.pause()
        assert app.text()[1] == f" {'a' * 22}…       0  ok"
