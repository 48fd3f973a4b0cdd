"""The stream's frames, made once and shared by all who look.

Imports this room; the only task here is the one that makes frames, and it runs while somebody looks. Invariants: at
most one frame in `PERIOD`, and no more than `SHARE` of a core for making them, however many look; what is kept for
those who fall behind is bounded, and whoever falls further behind gets the whole picture anew.
"""

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from proxy.admin.live_frame import Frame
from proxy.admin.live_view import LiveView

PERIOD = 0.5
"""Seconds from one frame to the next."""
SHARE = 0.02
"""Frames that cost more than this part of a core come less often."""
HEARTBEAT = 5.0
"""So often something is sent though nothing changed, which shows both sides that the other is there."""
MOST_VIEWERS = 32
_MOST_FRAMES = 60
_MOST_BYTES = 4 << 20

_log = logging.getLogger(__name__)


class Broadcast:
    """`viewer` gives one reader, of `most` at a time; `close` ends them all. `clock` is seconds since the epoch."""

    def __init__(self, make_view: Callable[[], LiveView], clock: Callable[[], float], most: int = MOST_VIEWERS) -> None:
        self._make_view = make_view
        self._view: LiveView | None = None
        self._clock = clock
        self._epoch = secrets.token_hex(4)
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._last = 0
        self._ticked_at = self._sent_at = 0.0
        self._snapshot: tuple[int, bytes] = (-1, b"")
        self._news = asyncio.Event()
        self._viewers = 0
        self._most = most
        self._cost = 0.0
        self._task: asyncio.Task[None] | None = None
        self.closed = False

    @property
    def is_full(self) -> bool:
        """Whether no further reader is let in."""
        return self._viewers >= self._most

    @contextmanager
    def viewer(self, last_event: str = "") -> Iterator["Viewer"]:
        """A reader that goes on after the event with this id, where it is still held."""
        self._viewers += 1
        try:
            if self._task is None:
                if self._clock() - self._ticked_at >= PERIOD:
                    self._tick()
                self._task = asyncio.create_task(self._run(), name="frames for the page")
                self._task.add_done_callback(self._ended)
            yield Viewer(self, self._place_of(last_event))
        finally:
            self._viewers -= 1
            if not self._viewers:
                self._stop()

    def close(self) -> None:
        """End every reader."""
        self.closed = True
        self._stop()
        self._tell()

    def after(self, place: int) -> bytes:
        """The events after a place; the whole picture where they are no longer held."""
        missing = self._last - place
        if place < 0 or missing > len(self._frames):
            return self._whole()
        return b"".join(self._frames[index] for index in range(len(self._frames) - missing, len(self._frames)))

    @property
    def last(self) -> int:
        """The place of the newest event."""
        return self._last

    async def wait(self) -> None:
        """Until there is a newer event, or the end."""
        await self._news.wait()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(max(PERIOD, self._cost / SHARE))
            before = time.thread_time()
            self._tick()
            self._cost = time.thread_time() - before

    def _tick(self) -> None:
        if self._view is None:
            self._view = self._make_view()
        now = self._ticked_at = self._clock()
        frame = self._view.advance(now)
        if frame.is_empty and now - self._sent_at < HEARTBEAT:
            return
        self._sent_at = now
        self._last += 1
        self._keep(self._event("delta", frame))
        self._tell()

    def _keep(self, event: bytes) -> None:
        self._frames.append(event)
        self._bytes += len(event)
        while self._frames and (len(self._frames) > _MOST_FRAMES or self._bytes > _MOST_BYTES):
            self._bytes -= len(self._frames.popleft())

    def _whole(self) -> bytes:
        """The snapshot at the newest place, encoded once."""
        if self._snapshot[0] != self._last:
            assert self._view is not None
            self._snapshot = self._last, self._event("snapshot", self._view.snapshot())
        return self._snapshot[1]

    def _event(self, kind: str, frame: Frame) -> bytes:
        head = f"id: {self._epoch}-{self._last}\nevent: {kind}\ndata: ".encode()
        return b"".join((head, msgspec.json.encode(frame), b"\n\n"))

    def _place_of(self, last_event: str) -> int:
        """-1 where an id is not one of this process."""
        epoch, _, place = last_event.partition("-")
        if epoch != self._epoch or not (place.isascii() and place.isdecimal()) or len(place) > 15:
            return -1
        return int(place) if int(place) <= self._last else -1

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the page's stream failed", exc_info=error)
            self.close()


class Viewer:
    """One reader's place in the stream."""

    def __init__(self, broadcast: Broadcast, place: int) -> None:
        self._broadcast = broadcast
        self._place = place

    async def read(self) -> bytes:
        """The events since the last call, waiting for one if need be; empty at the end."""
        while self._place == self._broadcast.last and not self._broadcast.closed:
            await self._broadcast.wait()
        if self._broadcast.closed:
            return b""
        events = self._broadcast.after(self._place)
        self._place = self._broadcast.last
        return events
