"""Long work with turns for others."""

import asyncio
from collections.abc import Generator

import pytest

from proxy.admin import turns
from proxy.admin.turns import Turns


def work(steps: int, done: list[int], fails: bool = False) -> Generator[None, None, str]:
    for number in range(steps):
        done.append(number)
        yield
    if fails:
        raise ValueError("in the end")
    return "result"


@pytest.mark.parametrize("steps", [0, 1, 1000])
async def test_the_result_is_the_works(steps: int) -> None:
    done: list[int] = []
    doing = Turns()
    assert await doing.do(work(steps, done)) == "result"
    assert done == list(range(steps))
    assert doing.cost >= 0


async def test_what_the_work_raises_is_raised() -> None:
    with pytest.raises(ValueError, match="in the end"):
        await Turns().do(work(3, [], fails=True))


async def test_others_have_their_turn_between_the_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN", 0.0)
    done: list[int] = []
    seen = set[int]()

    async def look() -> None:
        while True:
            seen.add(len(done))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    await Turns().do(work(100, done))
    looking.cancel()
    assert set(range(2, 101)) - seen == set()


async def test_short_work_is_done_in_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN", 3600.0)
    done: list[int] = []
    doing = asyncio.create_task(Turns().do(work(100, done)))
    await asyncio.sleep(0)
    assert doing.done()


async def test_a_cancellation_ends_it_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN", 0.0)
    done: list[int] = []
    doing = asyncio.create_task(Turns().do(work(100, done)))
    while len(done) < 10:  # noqa: ASYNC110 - what another task does is looked at
        await asyncio.sleep(0)
    doing.cancel()
    await asyncio.gather(doing, return_exceptions=True)
    assert (doing.cancelled(), len(done) < 100) == (True, True)
