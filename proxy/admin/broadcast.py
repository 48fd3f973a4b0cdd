"""The stream's frames, made once and shared by all who look.

The only task here is the one that makes frames, and it runs while somebody looks. Invariants: at most one frame in
`PERIOD`, and no more than `SHARE` of a core for making them, however many look; what is kept for those who fall behind
is bounded, and whoever falls further behind gets the whole picture anew.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice

from proxy.admin.json_list import LARGEST_PIECE
from proxy.admin.live_view import LiveView
from proxy.admin.turns import Turns
from proxy.reports.live_frame import Frame, frame_pieces

PERIOD = 0.5
"""Seconds from one frame to the next."""
SHARE = 0.02
"""Frames that cost more than this part of a core come less often."""
HEARTBEAT = 5.0
"""So often something is sent though nothing changed, which shows both sides that the other is there."""
MOST_VIEWERS = 32
_MOST_FRAMES = 60
_MOST_BYTES = 4 << 20

Event = tuple[bytes, ...]
"""One or more events as they are sent, in pieces: those of a large proxy are megabytes."""

_log = logging.getLogger(__name__)


class Broadcast:
    """`viewer` gives one reader, of `most` at a time; `close` ends them all. `clock` is monotonic seconds, by which
    frames are timed; `time_of_day` is seconds since the epoch, which frames show."""

    def __init__(
        self,
        make_view: Callable[[], LiveView],
        clock: Callable[[], float],
        time_of_day: Callable[[], float],
        most: int = MOST_VIEWERS,
    ) -> None:
        self._make_view = make_view
        self._view: LiveView | None = None
        self._clock = clock
        self._time_of_day = time_of_day
        self._epoch = secrets.token_hex(4)
        self._frames: deque[Event] = deque()
        self._bytes = 0
        self._last = 0
        self._ticked_at = self._sent_at = 0.0
        self._snapshot: tuple[int, Event] = (-1, ())
        self._news = asyncio.Event()
        self._viewers = 0
        self._most = most
        self._making = asyncio.Lock()
        self._is_fresh = False
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
                self._is_fresh = self._view is not None and self._clock() - self._ticked_at < PERIOD
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

    async def after(self, place: int) -> tuple[int, Event]:
        """The events after a place, and the place of the last of them; the whole picture where they are no longer
        held."""
        missing = self._last - place
        if place < 0 or missing > len(self._frames):
            return await self._whole()
        frames = islice(self._frames, len(self._frames) - missing, None)
        return self._last, tuple(chain.from_iterable(frames))

    def has_news(self, place: int) -> bool:
        """Whether there is something to tell to a reader at this place."""
        return self._is_fresh and place != self._last

    async def wait(self) -> None:
        """Until there is a newer event, or the end."""
        await self._news.wait()

    async def _run(self) -> None:
        pause = PERIOD if self._is_fresh else await self._tick()
        while True:
            await asyncio.sleep(pause)
            pause = await self._tick()

    async def _tick(self) -> float:
        """Make a frame; gives how long to wait before the next."""
        async with self._making:
            turns, now = Turns(), self._clock()
            is_first = self._view is None
            # Back again when it is complete: one that was left on the way is of no use.
            view, self._view = self._view or self._make_view(), None
            frame = await turns.do(view.advance(now, self._time_of_day()))
            self._view, self._ticked_at = view, now
            if is_first:
                self._begin(now)
            elif not frame.is_empty or now - self._sent_at >= HEARTBEAT:
                self._sent_at = now
                self._last += 1
                self._keep(await self._event("delta", frame, turns))
            self._is_fresh = True
            self._tell()
        return PERIOD if is_first else max(PERIOD, turns.cost / SHARE)

    def _begin(self, now: float) -> None:
        """A view that nobody has seen anything of: whoever comes gets the whole."""
        self._frames.clear()
        self._bytes = 0
        self._last += 1
        self._sent_at = now

    def _keep(self, event: Event) -> None:
        self._frames.append(event)
        self._bytes += sum(map(len, event))
        while self._frames and (len(self._frames) > _MOST_FRAMES or self._bytes > _MOST_BYTES):
            self._bytes -= sum(map(len, self._frames.popleft()))

    async def _whole(self) -> tuple[int, Event]:
        """The newest place and the snapshot there, encoded once."""
        async with self._making:
            if self._snapshot[0] != self._last and self._view is not None:
                self._snapshot = self._last, await self._event("snapshot", self._view.snapshot(), Turns())
            return self._snapshot

    async def _event(self, kind: str, frame: Frame, turns: Turns) -> Event:
        head = f"id: {self._epoch}-{self._last}\nevent: {kind}\ndata: ".encode()
        return await turns.do(_joined(chain((head,), frame_pieces(frame), (b"\n\n",))))

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

    async def read(self) -> Event:
        """The events since the last call, waiting for one if need be; empty at the end."""
        while not (self._broadcast.closed or self._broadcast.has_news(self._place)):
            await self._broadcast.wait()
        if self._broadcast.closed:
            return ()
        self._place, events = await self._broadcast.after(self._place)
        return events


def _joined(pieces: Iterable[bytes]) -> Generator[None, None, Event]:
    """Small pieces put together, none of the results much larger than LARGEST_PIECE."""
    joined: list[bytes] = []
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        if len(waiting) >= LARGEST_PIECE:
            joined.append(bytes(waiting))
            waiting.clear()
        yield
    return (*joined, bytes(waiting))
