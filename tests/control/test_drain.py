"""How a drain ends, with a data plane that the test makes up."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from proxy.control.drain import drain
from proxy.dataplane.close_reason import CloseReason


class Connected:
    """A data plane with connections; `gone` is set when they are no more."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.done: list[object] = []

    async def stop_accepting(self, sockets: object) -> int:
        self.done.append(sockets)
        return 3

    async def empty(self) -> None:
        await self.gone.wait()

    async def end_all(self, reason: CloseReason) -> int:
        self.done.append(reason)
        return 0


@pytest.mark.parametrize(
    ("grace", "ends", "reason"),
    [
        (1000.0, lambda plane, insisted: plane.gone.set(), CloseReason.DRAIN_DEADLINE),
        (1000.0, lambda plane, insisted: insisted.set(), CloseReason.SHUTDOWN),
        (0.0, lambda plane, insisted: None, CloseReason.DRAIN_DEADLINE),
    ],
    ids=["nothing is left", "somebody insists", "the grace period is over"],
)
async def test_it_lasts_until(
    grace: float, ends: Callable[[Connected, asyncio.Event], None], reason: CloseReason
) -> None:
    plane, insisted, sockets = Connected(), asyncio.Event(), object()
    untyped: Any = drain
    draining = asyncio.create_task(untyped(plane, sockets, grace, insisted))
    async with asyncio.timeout(10):
        while not plane.done:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
        ends(plane, insisted)
        await draining
    assert plane.done == [sockets, reason]
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
