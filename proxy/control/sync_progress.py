"""Tells a person that the first lists are coming, while a large cluster keeps them waiting.

Invariants: a first state that comes soon is announced by nothing; on a terminal it is one
line that moves and is gone in the end, elsewhere a log line now and then.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TextIO

from proxy.logs import CLEAR_LINE, fields
from proxy.model.problem import Problem
from proxy.model.source_statistics import ResourceStatistics

FRAME = 0.1
LINE_INTERVAL = 3.0

_WIDTH = 10
_BLOCK = 3
_USUAL_COLUMNS = 80

_log = logging.getLogger(__name__)


class SyncProgress:
    """`statistics` is asked for what has come; `terminal` is the person's, if one looks on."""

    def __init__(self, statistics: Callable[[], Iterable[ResourceStatistics]], terminal: TextIO | None) -> None:
        self._statistics = statistics
        self._terminal = terminal

    @contextlib.asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """Show it while the context lasts. Raises what it failed with."""
        showing = asyncio.create_task(self._show(), name="show progress")
        try:
            yield
        finally:
            showing.cancel()
            await asyncio.wait([showing])
            if not showing.cancelled():
                showing.result()

    async def _show(self) -> None:
        if self._terminal is None:
            await self._write_lines()
        else:
            await self._draw(self._terminal)

    async def _write_lines(self) -> None:
        while True:
            await asyncio.sleep(LINE_INTERVAL)
            received = received_objects(self._statistics())
            if received:
                _log.info("receiving the first lists", extra=fields(**received))

    async def _draw(self, terminal: TextIO) -> None:
        step = 0
        # A terminal that went away is no reason to stop.
        with contextlib.suppress(OSError), _cleared(terminal):
            while True:
                await asyncio.sleep(FRAME)
                received = received_objects(self._statistics())
                if received:
                    step += 1
                    # What is wider would go on in a line that nobody clears.
                    line = f"{bar(step)} {in_words(received)}"[: columns_of(terminal) - 1]
                    terminal.write(f"{CLEAR_LINE}{line}")
                    terminal.flush()


@contextlib.contextmanager
def _cleared(terminal: TextIO) -> Iterator[None]:
    """In the end, nothing is left of the line."""
    try:
        yield
    finally:
        terminal.write(CLEAR_LINE)
        terminal.flush()


def columns_of(terminal: TextIO) -> int:
    """How wide a terminal is; the usual width where it does not say."""
    try:
        return os.get_terminal_size(terminal.fileno()).columns or _USUAL_COLUMNS
    except (OSError, ValueError):
        return _USUAL_COLUMNS


def received_objects(resources: Iterable[ResourceStatistics]) -> dict[str, int]:
    """By resource, how many objects have come so far; nothing where there is no server."""
    return {each.resource: each.objects + each.receiving for each in resources}


def bar(step: int) -> str:
    """A block that runs to and fro, since nobody knows how much is still to come."""
    room = _WIDTH - _BLOCK
    place = step % (2 * room)
    place = min(place, 2 * room - place)
    return f"[{' ' * place}{'=' * _BLOCK}{' ' * (room - place)}]"


def in_words(received: dict[str, int]) -> str:
    """`received 12,345 objects: services 1,000, endpointslices 11,345`."""
    parts = ", ".join(f"{resource.partition('.')[0]} {count:,}" for resource, count in received.items())
    return f"received {sum(received.values()):,} objects: {parts}"


def first_state_missing(hindrances: Iterable[Problem], resources: Iterable[ResourceStatistics]) -> str:
    """Why there is nothing to show yet, in a line."""
    reasons = "; ".join(map(str, hindrances))
    received = received_objects(resources)
    if not received and not reasons:
        return "the first state is not known yet: try again in a moment"
    return f"the first lists of the cluster are not there yet: {reasons or in_words(received)}"
