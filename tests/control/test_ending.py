"""The end: every part has its turn, in reverse order, within its limit, whatever the others do."""

import asyncio

import pytest

from proxy.control import ending as module
from proxy.control.ending import Ending


@pytest.fixture
def insisted() -> asyncio.Event:
    return asyncio.Event()


async def test_parts_end_in_reverse_order_whether_they_wait_or_not(insisted: asyncio.Event) -> None:
    ended: list[str] = []

    async def slowly() -> None:
        await asyncio.sleep(0)
        ended.append("slowly")

    async with Ending(insisted) as ending:
        ending.add("first", lambda: ended.append("first"))
        ending.add("second", slowly)
        assert ended == []
    assert ended == ["slowly", "first"]


async def test_a_part_that_fails_keeps_no_other_from_its_end_and_is_told(insisted: asyncio.Event) -> None:
    ended: list[str] = []

    async def fail() -> None:
        raise RuntimeError("cannot end")

    ending = Ending(insisted)
    ending.add("first", lambda: ended.append("first"))
    ending.add("second", fail)
    ending.add("third", lambda: ended.append("third"))
    with pytest.raises(RuntimeError, match="cannot end"):
        await ending.__aexit__(None, None, None)
    assert ended == ["third", "first"]


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_part_that_does_not_end_is_left_after_its_limit(
    insisted: asyncio.Event, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "LIMIT", 0.01)
    ended: list[str] = []
    async with Ending(insisted) as ending:
        ending.add("first", lambda: ended.append("first"))
        ending.add("second", forever)
    assert ended == ["first"]
    assert "second: not ended in time" in caplog.text


async def test_who_insists_shortens_every_limit(insisted: asyncio.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 1000.0)
    monkeypatch.setattr(module, "HURRY", 0.01)
    async with asyncio.timeout(20):
        async with Ending(insisted) as ending:
            ending.add("first", forever)
            ending.add("second", forever)
            asyncio.get_running_loop().call_soon(insisted.set)


async def test_a_part_that_is_cancelled_keeps_no_other_from_its_end(insisted: asyncio.Event) -> None:
    ended: list[str] = []
    closing = asyncio.Event()

    async def never() -> None:
        closing.set()
        await forever()

    async def all_of_it() -> None:
        async with Ending(insisted) as ending:
            ending.add("first", lambda: ended.append("first"))
            ending.add("second", never)

    task = asyncio.create_task(all_of_it())
    await closing.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["first"]
