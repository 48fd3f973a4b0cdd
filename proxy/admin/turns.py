"""Long work on the loop, with turns for everybody else.

The work is a generator that yields where it may be interrupted, so that it needs no loop and no clock of its own.
Invariant: from one step of the work to the next, at most `TURN` seconds of other steps passed since others had their
turn.
"""

import asyncio
import time
from collections.abc import Generator
from typing import TypeVar

TURN = 0.002
"""Seconds that a turn lasts, its last step aside. A request takes a few turns of the loop to be read and answered."""

Result = TypeVar("Result")


class Turns:
    """Does work. `cost` is the processor time of this work alone, in seconds."""

    def __init__(self) -> None:
        self.cost = 0.0

    async def do(self, work: Generator[None, None, Result]) -> Result:
        """The work's result. Whatever it raises is raised here; a cancellation ends it where it is."""
        while True:
            began = time.thread_time()
            try:
                self._steps(work)
            except StopIteration as end:
                result: Result = end.value
                return result
            finally:
                self.cost += time.thread_time() - began
            await asyncio.sleep(0)

    @staticmethod
    def _steps(work: Generator[None, None, Result]) -> None:
        """One turn. Raises StopIteration at the end of the work."""
        until = time.perf_counter() + TURN
        next(work)
        while time.perf_counter() < until:
            next(work)
