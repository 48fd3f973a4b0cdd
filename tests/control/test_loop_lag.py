"""The lag of a loop that is held, and of one that is not."""

import asyncio
import time

import pytest

from proxy.control import loop_lag


async def test_a_loop_that_was_held_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_lag, "INTERVAL", 0.001)
    seen: list[float] = []
    first = asyncio.Event()

    def observe(seconds: float) -> None:
        seen.append(seconds)
        first.set()

    task = asyncio.create_task(loop_lag.measure_lag(observe))
    await asyncio.wait_for(first.wait(), 10)
    time.sleep(0.05)  # noqa: ASYNC251 - holds the loop, which is what is measured
    first.clear()
    await asyncio.wait_for(first.wait(), 10)
    task.cancel()
    assert min(seen) >= 0
    assert max(seen) > 0.02
