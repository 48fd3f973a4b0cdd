"""The stream's frames where readers come and go while they are made."""

import asyncio
import json
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest

from proxy.admin import broadcast, turns
from proxy.admin.broadcast import Broadcast, Event
from proxy.admin.live_view import LiveView
from tests.admin.inspected import FakeProxy, service_report

SERVICES = 50


@pytest.fixture
def proxy() -> FakeProxy:
    return FakeProxy(*(service_report(f"s{number}") for number in range(SERVICES)))


@pytest.fixture
def frames(proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broadcast]:
    """Each step of a picture is a turn; the clock stands still, so that nothing grows old."""
    monkeypatch.setattr(turns, "TURN", 0.0)
    monkeypatch.setattr(broadcast, "PERIOD", 0.01)
    made = Broadcast(lambda: LiveView(proxy, "1"), lambda: 10.0, lambda: 1000.0)
    yield made
    made.close()


def kind_and_services(events: Event) -> tuple[str, int]:
    event, data = (line.partition(": ")[2] for line in b"".join(events).decode().splitlines()[1:3])
    return event, len(json.loads(data).get("services", {}))


def frame_of(events: Event) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(b"".join(events).decode().splitlines()[2].removeprefix("data: "))
    return document


def place(events: Event) -> str:
    return b"".join(events).decode().splitlines()[0].removeprefix("id: ")


async def test_a_reader_gets_no_half_a_picture(frames: Broadcast) -> None:
    with frames.viewer() as viewer:
        assert kind_and_services(await viewer.read()) == ("snapshot", SERVICES)


async def test_who_comes_after_one_that_left_before_the_picture_was_complete_gets_the_whole(
    frames: Broadcast, proxy: FakeProxy
) -> None:
    with frames.viewer() as hasty:
        reading = asyncio.create_task(hasty.read())
        while proxy.asked < SERVICES // 2:  # noqa: ASYNC110 - what another task does is looked at
            await asyncio.sleep(0)
        assert proxy.asked < SERVICES
        reading.cancel()
    with frames.viewer() as viewer:
        assert kind_and_services(await viewer.read()) == ("snapshot", SERVICES)


async def test_a_picture_that_was_left_on_the_way_is_resumed_by_nobody(frames: Broadcast, proxy: FakeProxy) -> None:
    with frames.viewer() as viewer:
        before = place(await viewer.read())
        proxy.services = {key: service_report(key[1], endpoints=3) for key in proxy.services}
        asked = proxy.asked
        while proxy.asked < asked + SERVICES // 2:  # noqa: ASYNC110 - what another task does is looked at
            await asyncio.sleep(0)
        assert proxy.asked < asked + SERVICES
    with frames.viewer(before) as viewer:
        assert kind_and_services(await viewer.read()) == ("snapshot", SERVICES)


async def test_readers_share_one_snapshot(frames: Broadcast, proxy: FakeProxy) -> None:
    with frames.viewer() as one, frames.viewer() as other:
        first, second = await asyncio.gather(one.read(), other.read())
        assert first is second
        assert proxy.asked == SERVICES


async def test_a_long_picture_is_in_pieces(frames: Broadcast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broadcast, "LARGEST_PIECE", 1000)
    with frames.viewer() as viewer:
        events = await viewer.read()
    assert len(events) > 3
    assert kind_and_services(events) == ("snapshot", SERVICES)


async def test_frames_go_on_where_the_time_of_day_steps_back_and_forth(
    proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broadcast, "PERIOD", 0.01)
    monkeypatch.setattr(broadcast, "HEARTBEAT", 0.0)
    times = iter((1_000_000.0, 10.0, 2_000_000.0, 500.0))
    made = Broadcast(lambda: LiveView(proxy, "1"), monotonic, lambda: next(times, 0.0))
    try:
        with made.viewer() as viewer:
            frames = [frame_of(await viewer.read()) for _ in range(4)]
    finally:
        made.close()
    assert [frame["time"] for frame in frames] == [1_000_000.0, 10.0, 2_000_000.0, 500.0]
    assert all(0.0 <= frame.get("interval", 0.0) < 10.0 for frame in frames)
