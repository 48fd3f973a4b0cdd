"""The reactor: one epoll of our own, its descriptor registered in the asyncio loop, drained in batches.

Imports nothing of ours. Measured against uvloop's transports and against add_reader per socket, this is what a relay
costs least on (tests/bench/README.md). Invariants: a registration lasts as long as its descriptor and is never
modified; a descriptor closed during a batch is really closed after it, so its number cannot come back within the
batch and meet an event that was meant for its predecessor.
"""

import asyncio
import logging
import select
from socket import SocketType
from time import monotonic
from typing import Protocol

READABLE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
WRITABLE = select.EPOLLOUT
HUNG_UP = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
FAILED = select.EPOLLERR | select.EPOLLHUP
EDGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
LEVEL = select.EPOLLIN

BUFFER_SIZE = 256 * 1024
_BATCH = 256
_ROUNDS = 4

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


class Reactor:
    """Dispatches readiness. `now` is monotonic seconds, taken once a batch. `buffer` is shared by all relays of the
    worker: it holds bytes only within one call."""

    __slots__ = ("_again", "_doomed", "_epoll", "_loop", "_woken", "buffer", "handlers", "now", "view")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._again: list[Waiting] = []
        self._doomed: list[SocketType] = []
        self._woken = False
        self.handlers: dict[int, Watched] = {}
        self.buffer = bytearray(BUFFER_SIZE)
        self.view = memoryview(self.buffer)
        self.now = monotonic()
        loop.add_reader(self._epoll.fileno(), self._drain)

    def watch(self, descriptor: int, watched: Watched, events: int = EDGES) -> None:
        """Register a descriptor for its whole life."""
        self.handlers[descriptor] = watched
        self._epoll.register(descriptor, events)

    def unwatch(self, descriptor: int) -> None:
        """Take back a registration of a descriptor that stays open (a listener that pauses)."""
        if self.handlers.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def close(self, sock: SocketType) -> None:
        """Close a socket at the end of this batch; the close takes its registration with it."""
        self.handlers.pop(sock.fileno(), None)
        self._doomed.append(sock)
        self._wake()

    def again(self, waiting: Waiting) -> None:
        """Call `go_on` after the other descriptors had their turn: what is left when a budget ran out."""
        self._again.append(waiting)
        self._wake()

    def stop(self) -> None:
        """Close what is doomed and the epoll itself."""
        self._finish_batch()
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._loop.call_soon(self._finish_batch)

    def _drain(self) -> None:
        """Dispatch what is ready, a few rounds before the loop's other work gets its turn."""
        self._woken = True
        for _ in range(_ROUNDS):
            events = self._epoll.poll(0, _BATCH)
            if not events:
                break
            self.now = monotonic()
            handlers = self.handlers
            for descriptor, mask in events:
                watched = handlers.get(descriptor)
                if watched is not None:
                    try:
                        watched.ready(mask)
                    except Exception:
                        self._crashed(watched)
            if self._doomed:
                self._close_doomed()
        self._finish_batch()

    def _crashed(self, handler: Watched | Waiting) -> None:
        """A defect in one handler ends that one flow, with a traceback in the log, and no other."""
        _log.exception("handler failed")
        handler.crashed()

    def _close_doomed(self) -> None:
        doomed, self._doomed = self._doomed, []
        for sock in doomed:
            sock.close()

    def _finish_batch(self) -> None:
        if self._doomed:
            self._close_doomed()
        self._woken = False
        if self._again:
            self.now = monotonic()
            queue, self._again = self._again, []
            for waiting in queue:
                try:
                    waiting.go_on()
                except Exception:
                    self._crashed(waiting)
