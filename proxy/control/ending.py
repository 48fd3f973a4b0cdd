"""The end of what was begun: each part is closed in its turn, in reverse order, whatever became of the others.

Invariant: no part waits longer than its limit, and where somebody insists, none waits longer than a moment. A part that
fails keeps no other from its end; the first failure is raised when all had their turn.
"""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

LIMIT = 10.0
"""Seconds that one part may take."""
HURRY = 1.0
"""The same once somebody insists."""

Close = Callable[[], Awaitable[None] | None]

_log = logging.getLogger(__name__)


class Ending:
    """A context; `add` what is to be closed before it begins, since a start may fail half-way. `insisted` is set when
    the end is to come at once."""

    def __init__(self, insisted: asyncio.Event) -> None:
        self._insisted = insisted
        self._stack = AsyncExitStack()

    def add(self, part: str, close: Close) -> None:
        """Have `close` called at the end, before those that were added earlier. `part` names it in the log."""
        self._stack.push_async_callback(self._close, part, close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    async def _close(self, part: str, close: Close) -> None:
        closing = close()
        if inspect.isawaitable(closing) and not await self._in_time(asyncio.ensure_future(closing)):
            _log.error(f"{part}: not ended in time, and left as it is")

    async def _in_time(self, closing: "asyncio.Future[None]") -> bool:
        insisting = asyncio.create_task(self._insisted.wait(), name="somebody insists")
        try:
            await asyncio.wait((closing, insisting), timeout=LIMIT, return_when=asyncio.FIRST_COMPLETED)
            if not closing.done() and insisting.done():
                await asyncio.wait((closing,), timeout=HURRY)
        finally:
            insisting.cancel()
            in_time = closing.done() or not closing.cancel()
        if in_time:
            closing.result()
        return in_time
