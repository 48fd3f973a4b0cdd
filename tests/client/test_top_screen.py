"""The screen of `svcproxy top`, through textual's own harness: what is shown, and what the keys do."""

from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widgets import Input, Static

from proxy.client.line_table import LineTable
from proxy.client.live_picture import LivePicture
from proxy.client.rate_meter import RateMeter, ServiceLine
from proxy.client.top_screen import TopScreen
from tests.client.picture import counts, endpoint, frame, service

DELAY = 3600.0
"""Seconds that no test waits: the tests look themselves."""


class FakeFeed:
    """A feed of two Services and of a third with many endpoints; each look is a second later."""

    server = "127.0.0.1:10249"
    fault = ""

    def __init__(self) -> None:
        self.now = 0.0
        self.opened = {"web": 0, "mail": 0}
        self.picture = LivePicture()
        self.meter = RateMeter()

    def measure(self, now: float) -> list[ServiceLine]:
        self.now += 1
        services = [
            service("web", endpoint(1), endpoint(2)),
            service("mail", endpoint(3)),
            service("db", *map(endpoint, range(10, 60)), namespace="data"),
        ]
        opened = {
            "default/web": {0: counts(1, self.opened["web"], 5, 7 * self.opened["web"])},
            "default/mail": {0: counts(4, self.opened["mail"], 9 * self.opened["mail"])},
        }
        self.picture.take(frame(*services, counts=opened), whole=True)
        return self.meter.measure(self.picture, self.now)

    def summary(self) -> str:
        return "serving, 3 Services"


@pytest.fixture
def feed() -> FakeFeed:
    return FakeFeed()


@pytest.fixture
def screen(feed: FakeFeed) -> Callable[..., TopScreen]:
    def make(by: str = "conn/s", service: str = "", namespace: str = "") -> TopScreen:
        return TopScreen(feed, delay=DELAY, by=by, service=service, namespace=namespace)

    return make


def table(app: TopScreen) -> LineTable:
    return app.query_one(LineTable)


def rows(app: TopScreen) -> list[list[str]]:
    return [table(app).cells(place) for place in range(len(table(app).lines))]


def first_cells(app: TopScreen) -> list[str]:
    return [row[0] for row in rows(app)]


def line(app: TopScreen, name: str) -> str:
    return str(app.query_one(f"#{name}", Static).render())


async def look(app: TopScreen, pilot: Pilot[Any]) -> None:
    app.look()
    await pilot.pause()


async def test_services_are_shown_by_connection_rate(feed: FakeFeed, screen: Callable[..., TopScreen]) -> None:
    app = screen()
    async with app.run_test(size=(80, 24)) as pilot:
        assert line(app, "summary") == "127.0.0.1:10249: serving, 3 Services"
        feed.opened |= {"web": 8, "mail": 20}
        await look(app, pilot)
        assert rows(app)[0] == ["mail", "20.0", "4", "180", "0", "0", "1", "serving"]
        assert rows(app)[1] == ["web", "8.0", "1", "0", "56", "0", "2", "serving"]
        assert first_cells(app) == ["mail", "web", "data/db"]


async def test_it_fits_eighty_columns(screen: Callable[..., TopScreen]) -> None:
    app = screen()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert table(app).virtual_size.width <= 80
        await pilot.press("enter")
        assert len(table(app).columns) == 9
        assert table(app).virtual_size.width <= 80


@pytest.mark.parametrize(
    ("keys", "order"),
    [
        ("n", ["data/db", "mail", "web"]),
        ("nn", ["web", "mail", "data/db"]),
        ("a", ["mail", "web", "data/db"]),
        ("aa", ["data/db", "web", "mail"]),
        ("o", ["web", "data/db", "mail"]),
        ("i", ["mail", "data/db", "web"]),
    ],
)
async def test_keys_sort(feed: FakeFeed, screen: Callable[..., TopScreen], keys: str, order: list[str]) -> None:
    app = screen()
    async with app.run_test() as pilot:
        feed.opened |= {"web": 8, "mail": 20}
        await look(app, pilot)
        await pilot.press(*keys)
        assert first_cells(app) == order


async def test_enter_opens_the_endpoints_and_escape_goes_back(feed: FakeFeed, screen: Callable[..., TopScreen]) -> None:
    app = screen(by="service")
    async with app.run_test() as pilot:
        await pilot.press("down", "down", "enter")
        assert line(app, "what").startswith("endpoints of default/web, by conn/s")
        assert first_cells(app) == ["10.0.0.1:8080", "10.0.0.2:8080"]
        feed.opened["web"] = 5
        await look(app, pilot)
        assert rows(app)[0][:3] == ["10.0.0.1:8080", "5.0", "1"]
        await pilot.press("escape")
        assert len(first_cells(app)) == 3


async def test_a_filter_shows_only_what_has_it_and_goes_with_escape(screen: Callable[..., TopScreen]) -> None:
    app = screen(by="service")
    async with app.run_test() as pilot:
        await pilot.press("slash", *"ai")
        assert first_cells(app) == ["mail"]
        await pilot.press("enter", "n")
        assert first_cells(app) == ["mail"]
        assert 'with "ai"' in line(app, "what")
        await pilot.press("escape")
        assert len(first_cells(app)) == 3
        assert not app.query_one(Input).display


async def test_a_filter_may_have_a_slash(screen: Callable[..., TopScreen]) -> None:
    app = screen()
    async with app.run_test() as pilot:
        await pilot.press("slash", *"ata", "slash", "d")
        assert first_cells(app) == ["data/db"]


async def test_a_column_is_as_wide_as_what_is_in_it(feed: FakeFeed, screen: Callable[..., TopScreen]) -> None:
    app = screen(by="service")
    async with app.run_test() as pilot:
        await pilot.press("enter")
        assert table(app).widths[:2] == [len("10.0.0.10:8080"), len("CONN/S")]
        await pilot.press("escape")
        assert table(app).widths[0] == len("SERVICE")


async def test_the_cursor_stays_with_its_service_when_the_order_changes(
    feed: FakeFeed, screen: Callable[..., TopScreen]
) -> None:
    app = screen()
    async with app.run_test() as pilot:
        feed.opened["web"] = 9
        await look(app, pilot)
        await pilot.press("up", "up")
        assert (first_cells(app)[0], table(app).cursor) == ("web", 0)
        await pilot.press("up")
        feed.opened["mail"] = 90
        await look(app, pilot)
        await look(app, pilot)
        assert first_cells(app)[table(app).cursor] == "web"


async def test_only_lines_that_differ_are_drawn_anew(
    feed: FakeFeed, screen: Callable[..., TopScreen], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = screen(by="service")
    async with app.run_test() as pilot:
        await look(app, pilot)
        drawn: list[int] = []
        draw = table(app).render_line

        def noting(y: int) -> Strip:
            drawn.append(y)
            return draw(y)

        monkeypatch.setattr(table(app), "render_line", noting)
        feed.opened["web"] = 3
        await look(app, pilot)
        assert rows(app)[2][1] == "3.0"
        assert drawn == [3]


async def test_a_held_picture_stays(feed: FakeFeed, screen: Callable[..., TopScreen]) -> None:
    app = screen()
    async with app.run_test() as pilot:
        await pilot.press("p")
        feed.opened["web"] = 9
        await look(app, pilot)
        assert all(row[1] == "0" for row in rows(app))
        assert line(app, "what").endswith("held")
        await pilot.press("p")
        await look(app, pilot)
        assert rows(app)[0][1] == "9.0"


async def test_a_proxy_that_is_gone_is_said_above_what_it_last_had(
    feed: FakeFeed, screen: Callable[..., TopScreen]
) -> None:
    app = screen()
    async with app.run_test() as pilot:
        feed.fault = "no svcproxy answers"
        await look(app, pilot)
        assert line(app, "summary") == "no svcproxy answers"
        assert len(rows(app)) == 3


async def test_one_namespace_or_one_service_may_be_asked_for(screen: Callable[..., TopScreen]) -> None:
    app = screen(namespace="data/")
    async with app.run_test():
        assert first_cells(app) == ["data/db"]
    app = screen(service="default/web")
    async with app.run_test(size=(120, 24)):
        assert len(rows(app)) == 2
        assert len(table(app).columns) == 10


async def test_q_quits(screen: Callable[..., TopScreen]) -> None:
    app = screen()
    async with app.run_test() as pilot:
        await pilot.press("q")
    assert not app.is_running
