"""The reactor: one epoll of our own, drained in batches, as a process's main loop or inside another loop.

Measured against uvloop's transports and against add_reader per socket, this is what a relay costs least on
(tests/bench/README.md). Invariants: a registration lasts as long as its descriptor and is only ever widened; a
descriptor closed during a batch is really closed after it, so its number cannot come back within the batch and meet an
event that was meant for its predecessor.
"""

import logging
import select
from collections.abc import Callable
from socket import SocketType
from time import monotonic
from typing import Final, Protocol

FINISHED: Final = select.EPOLLRDHUP
URGENT: Final = select.EPOLLPRI
FAILED: Final = select.EPOLLERR | select.EPOLLHUP
READABLE: Final = select.EPOLLIN | FINISHED | FAILED
WRITABLE: Final = select.EPOLLOUT

EDGES: Final = select.EPOLLIN | FINISHED | URGENT | select.EPOLLET
EDGES_AND_ROOM: Final = EDGES | WRITABLE
LEVEL: Final = select.EPOLLIN

BUFFER_SIZE: Final = 256 * 1024
_BATCH: Final = 256
_LONGEST_SLEEP: Final = 60.0
_ROUNDS: Final = 4

_log = logging.getLogger(__name__)


class Watched(Protocol):
    """What an epoll registration leads to."""

    def ready(self, mask: int) -> None:
        """The descriptor has the epoll events of `mask`; spurious calls must be harmless."""

    def crashed(self) -> None:
        """`ready` raised: let go of everything held, without raising."""


class Waiting(Protocol):
    """What asked for another turn."""

    def go_on(self) -> None:
        """Take the turn; it may not be wanted any more."""

    def crashed(self) -> None:
        """`go_on` raised: let go of everything held, without raising."""


class Loop(Protocol):
    """What an embedded reactor asks of the loop around it; asyncio's loops have it."""

    def add_reader(self, fd: int, callback: Callable[[], object], /) -> None: ...

    def remove_reader(self, fd: int, /) -> object: ...

    def call_soon(self, callback: Callable[[], object], /) -> object: ...

    def call_later(self, delay: float, callback: Callable[[], object], /) -> "Timer": ...


class Timer(Protocol):
    """What `Loop.call_later` gives."""

    def cancel(self) -> None: ...


class Reactor:
    """Dispatches readiness, either by `run`, until `stop`, or within a loop that it was embedded in; the latter costs a
    wake-up and two system calls more a batch. `now` is monotonic seconds, taken once a batch; the last tick came `late`
    by so many. `buffer` is shared by all relays of the worker: it holds bytes only within one call."""

    __slots__ = (
        "_again",
        "_awake",
        "_doomed",
        "_epoll",
        "_interval",
        "_loop",
        "_next_tick",
        "_resting",
        "_running",
        "_tick",
        "_timer",
        "buffer",
        "handlers",
        "late",
        "now",
        "view",
    )

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._again: list[Waiting] = []
        self._awake = False
        self._doomed: list[SocketType] = []
        self._interval = _LONGEST_SLEEP
        self._loop: Loop | None = None
        self._resting = False
        self._running = False
        self._tick: Callable[[], None] = _nothing
        self._timer: Timer | None = None
        self.handlers: dict[int, Watched] = {}
        self.late = 0.0
        self.buffer = bytearray(BUFFER_SIZE)
        self.view = memoryview(self.buffer)
        self.now = monotonic()
        self._next_tick = self.now + self._interval

    def every(self, seconds: float, tick: Callable[[], None]) -> None:
        """Call `tick` so often, from now on and until the release. There is one tick a reactor."""
        self._interval = seconds
        self._tick = tick
        self._next_tick = monotonic() + seconds
        if self._loop is not None:
            self._timer = self._loop.call_later(seconds, self._embedded_tick)

    def embed(self, loop: Loop) -> None:
        """Be driven by another loop, which learns by one descriptor that something is ready. Comes before `every`."""
        self._loop = loop
        loop.add_reader(self._epoll.fileno(), self._drain)

    def run(self) -> None:
        """Be the main loop of the process. Returns after the batch in which `stop` was called."""
        poll = self._epoll.poll
        self._running = self._awake = True
        self.now = monotonic()
        self._finish_batch()
        while self._running:
            events = poll(0 if self._again else max(0.0, self._next_tick - self.now), _BATCH)
            self.now = monotonic()
            if self._resting and events:
                self._resting = False
                self._next_tick = self.now + self._interval
            self._dispatch(events)
            if self.now >= self._next_tick:
                self.late = self.now - self._next_tick
                self._next_tick = self.now + self._interval
                self._take_tick()
            self._finish_batch()

    def rest(self) -> None:
        """Called by the tick: nothing needs the next one before something happens, so `run` sleeps until it does. A
        loop around has timers of its own all the same, and goes on to tick."""
        if not self._again:
            self._resting = True
            if self._loop is None:
                self._next_tick = self.now + _LONGEST_SLEEP

    def stop(self) -> None:
        """Make `run` return. A signal's handler may call it too; `run` notices at the next event or tick."""
        self._running = False

    def watch(self, descriptor: int, watched: Watched, events: int = EDGES) -> None:
        """Register a descriptor for its whole life. Raises OSError, and then leads nowhere."""
        self._epoll.register(descriptor, events)
        self.handlers[descriptor] = watched

    def widen(self, descriptor: int) -> None:
        """Tell of room to write too, from now on: most sockets never lack it, and their events then come without
        one that says only that."""
        self._epoll.modify(descriptor, EDGES_AND_ROOM)

    def unwatch(self, descriptor: int) -> None:
        """Take back a registration of a descriptor that stays open (a listener that pauses)."""
        if self.handlers.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def close(self, sock: SocketType) -> None:
        """Close a socket at the end of this batch; the close takes its registration with it."""
        self.handlers.pop(sock.fileno(), None)
        self._doomed.append(sock)
        if not self._awake:
            self._wake()

    def close_now(self, sock: SocketType) -> None:
        """Close a socket that never asked for room: should its number come back within this batch, an event that was
        meant for it makes the new owner read in vain, and nothing worse."""
        self.handlers.pop(sock.fileno(), None)
        sock.close()

    def close_both(self, one: SocketType, other: SocketType) -> None:
        """The same for the two sockets of a relay, in one step: every connection ends with it."""
        handlers, doomed = self.handlers, self._doomed
        handlers.pop(one.fileno(), None)
        handlers.pop(other.fileno(), None)
        doomed.append(one)
        doomed.append(other)
        if not self._awake:
            self._wake()

    @property
    def doomed(self) -> int:
        """How many sockets are still open that will be closed at the end of this batch."""
        return len(self._doomed)

    def again(self, waiting: Waiting) -> None:
        """Call `go_on` after the other descriptors had their turn: what is left when a budget ran out."""
        self._again.append(waiting)
        if not self._awake:
            self._wake()

    def release(self) -> None:
        """Close what is doomed and the epoll itself; neither `run` nor the loop around has it any more."""
        self._finish_batch()
        if self._timer is not None:
            self._timer.cancel()
        if self._loop is not None:
            self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _wake(self) -> None:
        """Something is to be done at the end of a batch while none is under way."""
        if self._loop is not None:
            self._awake = True
            self._loop.call_soon(self._finish_embedded)

    def _drain(self) -> None:
        """Dispatch what is ready, a few rounds before the other work of the loop around gets its turn."""
        self._awake = True
        for _ in range(_ROUNDS):
            events = self._epoll.poll(0, _BATCH)
            if not events:
                break
            self.now = monotonic()
            self._dispatch(events)
            self._close_doomed()
        self._finish_embedded()

    def _finish_embedded(self) -> None:
        self._awake = True
        self._finish_batch()
        self._awake = False
        if self._again:
            self._wake()

    def _dispatch(self, events: list[tuple[int, int]]) -> None:
        handlers = self.handlers
        for descriptor, mask in events:
            watched = handlers.get(descriptor)
            if watched is not None:
                try:
                    watched.ready(mask)
                except Exception:
                    self._crashed(watched)

    def _crashed(self, handler: Watched | Waiting) -> None:
        """A defect in one handler ends that one flow, with a traceback in the log, and no other."""
        _log.exception("handler failed")
        handler.crashed()

    def _finish_batch(self) -> None:
        """Who asked for another turn has it, and what was closed meanwhile is closed."""
        if self._again:
            self.now = monotonic()
            queue, self._again = self._again, []
            for waiting in queue:
                try:
                    waiting.go_on()
                except Exception:
                    self._crashed(waiting)
        self._close_doomed()

    def _close_doomed(self) -> None:
        if self._doomed:
            doomed, self._doomed = self._doomed, []
            for sock in doomed:
                sock.close()

    def _embedded_tick(self) -> None:
        assert self._loop is not None
        self._timer = self._loop.call_later(self._interval, self._embedded_tick)
        self.now = monotonic()
        self.late = max(0.0, self.now - self._next_tick)
        self._next_tick = self.now + self._interval
        self._take_tick()

    def _take_tick(self) -> None:
        """A defect in one tick takes no other tick away."""
        try:
            self._tick()
        except Exception:
            _log.exception("tick failed")


def _nothing() -> None:
    """The tick of a reactor that was given none."""
