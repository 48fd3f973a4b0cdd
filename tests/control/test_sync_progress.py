"""What a person sees while the first lists come."""

import asyncio
import fcntl
import io
import os
import pty
import struct
import termios
from collections.abc import Callable

import pytest

from proxy.control import sync_progress
from proxy.control.sync_progress import SyncProgress, bar, columns_of, in_words, received_objects
from proxy.logs import CLEAR_LINE
from proxy.model.source_statistics import ResourceStatistics


def resources(services: int) -> tuple[ResourceStatistics, ...]:
    return (
        ResourceStatistics("services", 0, services, 0, 0, 0, 0, None),
        ResourceStatistics("endpointslices", 3, 4, 0, 1, 0, 0, 0.0),
    )


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_progress, "FRAME", 0.001)
    monkeypatch.setattr(sync_progress, "LINE_INTERVAL", 0.001)


async def shown(progress: SyncProgress, until: Callable[[], object]) -> None:
    async with asyncio.timeout(10), progress.shown():
        while not until():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)


async def test_a_terminal_shows_a_line_that_moves_and_is_gone_in_the_end() -> None:
    terminal = io.StringIO()
    await shown(SyncProgress(lambda: resources(12_000), terminal), lambda: terminal.getvalue().count("received") > 3)
    text = terminal.getvalue()
    assert "received 12,007 objects: services 12,000, endpointslices 7" in text
    assert max(map(len, text.split(CLEAR_LINE))) < 80
    assert "\n" not in text
    assert text.endswith(CLEAR_LINE)
    assert len(set(text.split(CLEAR_LINE))) > 3


async def test_nothing_is_wider_than_the_terminal() -> None:
    many = tuple(ResourceStatistics(f"resource{number}", 10**9, 0, 0, 0, 0, 0, None) for number in range(9))
    terminal = io.StringIO()
    await shown(SyncProgress(lambda: many, terminal), lambda: "received" in terminal.getvalue())
    assert max(map(len, terminal.getvalue().split(CLEAR_LINE))) == 79


async def test_a_log_gets_a_line_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    await shown(SyncProgress(lambda: resources(5), None), lambda: len(caplog.records) > 1)
    assert caplog.records[0].message == "receiving the first lists"
    assert caplog.records[0].__dict__["fields"] == {"services": 5, "endpointslices": 7}


async def test_where_there_is_no_server_there_is_nothing_to_show(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    asked = 0

    def nothing() -> tuple[ResourceStatistics, ...]:
        nonlocal asked
        asked += 1
        return ()

    terminal = io.StringIO()
    await shown(SyncProgress(nothing, None), lambda: asked > 2)
    await shown(SyncProgress(nothing, terminal), lambda: asked > 5)
    assert (caplog.records, terminal.getvalue()) == ([], CLEAR_LINE)


def test_the_block_of_the_bar_never_leaves_it() -> None:
    bars = [bar(step) for step in range(200)]
    assert {len(each) for each in bars} == {12}
    assert {each.count("=") for each in bars} == {3}
    assert bars[0] != bars[1]


def test_what_is_known_and_what_comes_are_counted_together() -> None:
    assert received_objects(resources(2)) == {"services": 2, "endpointslices": 7}
    assert in_words({"services": 0}) == "received 0 objects: services 0"
    assert in_words({"a.b.io": 1, "c": 2}) == "received 3 objects: a 1, c 2"


@pytest.mark.parametrize(("said", "columns"), [(132, 132), (40, 40), (0, 80)])
def test_a_terminal_is_as_wide_as_it_says(said: int, columns: int) -> None:
    controller, terminal = pty.openpty()
    with open(terminal, "w") as opened:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, said, 0, 0))
        assert columns_of(opened) == columns
    os.close(controller)
    assert columns_of(io.StringIO()) == 80
