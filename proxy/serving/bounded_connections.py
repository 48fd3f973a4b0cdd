"""So many HTTP connections and no more, and an answer for each that is let in, whatever happens.

aiohttp speaks HTTP. Descriptors that the data plane leaves to the control process are few, so each server has its share
of them. Invariants: who comes to a full server takes the place of the connection that has been without a request for
longest, so that those who hold connections and say nothing keep nobody out; where all are busy, it is told so and gets
no place. An error that nobody expected is logged once, with the path, and answered in the server's own form.
"""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple, cast

from aiohttp import web
from aiohttp.typedefs import Handler

from proxy.logs import fields

KEEP_ALIVE = 75.0
"""Seconds that a connection may be without a request."""
REFUSAL = 1.0
"""Seconds in which one that is refused may say what it wants, to be told so."""
COMPLAINT_INTERVAL = 60.0
"""Seconds between two log lines of one server that it is full."""

_SHORTEST_BACKLOG, _LONGEST_BACKLOG = 4, 16
_BUSY = "every connection that this address has is in use: close one and try again"

Failure = Callable[[int, str], web.Response]
"""Makes the answer with a status and one line."""

_log = logging.getLogger(__name__)


class HTTPBounds(NamedTuple):
    """How many connections those have at most who ask for health, at the admin address, and at the embedded API."""

    health: int = 16
    admin: int = 64
    api: int = 256


USUAL_BOUNDS = HTTPBounds()


def descriptors_of(most: int) -> int:
    """How many there may be for a moment of a server with so many connections: a turn of the loop accepts what waits,
    and only the next one closes."""
    return most + _backlog_of(most) + _most_refused_of(most)


class BoundedConnections:
    """One server's connections, at most `most`; beyond them a few are on their way out. `name` is the server's in the
    log, `failure` makes its errors, `busy` is the status of those who find no place."""

    def __init__(
        self,
        name: str,
        most: int,
        failure: Failure,
        busy: HTTPStatus = HTTPStatus.SERVICE_UNAVAILABLE,
        keep_alive: float = KEEP_ALIVE,
    ) -> None:
        self.name = name
        self.most = most
        self.failure = failure
        self.keep_alive = keep_alive
        self.backlog = _backlog_of(most)
        self.refusal = _refusal(failure(busy, _BUSY))
        self._open: dict[Connection, None] = {}
        self._busy: set[web.RequestHandler] = set()
        self._refused: set[Refused] = set()
        self._complained = float("-inf")

    def next(self, server: web.Server) -> "Connection | Refused":
        """What speaks with the next client."""
        loop = asyncio.get_running_loop()
        if len(self._open) < self.most or self._make_room():
            connection = Connection(self, server, loop)
            self._open[connection] = None
            return connection
        self._complain(loop.time())
        refused = Refused(self, may_ask=len(self._refused) < _most_refused_of(self.most))
        self._refused.add(refused)
        return refused

    @web.middleware
    async def mark_busy(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware, the outermost, that tells who is answered right now."""
        connection = request.protocol
        self._busy.add(connection)
        try:
            return await handler(request)
        finally:
            self._busy.discard(connection)
            if isinstance(connection, Connection) and connection in self._open:
                # The last one to be idle.
                del self._open[connection]
                self._open[connection] = None

    def lost(self, connection: "Connection | Refused") -> None:
        """A connection is closed."""
        if isinstance(connection, Refused):
            self._refused.discard(connection)
        else:
            self._open.pop(connection, None)

    def _make_room(self) -> bool:
        """Whether there was an idle one, which leaves."""
        idle = [each for each in self._open if each not in self._busy]
        if not idle:
            return False
        leaves = next((each for each in idle if not each.is_unread), idle[0])
        del self._open[leaves]
        leaves.leave()
        return True

    def _complain(self, now: float) -> None:
        if now - self._complained >= COMPLAINT_INTERVAL:
            self._complained = now
            _log.warning(
                "every connection is in use: newcomers are refused",
                extra=fields(server=self.name, connections=self.most),
            )


class Connection(web.RequestHandler):
    """One that is let in. `hang_up` ends it where there is no transport yet: TLS comes first."""

    __slots__ = ("_bounds", "_leaving", "hang_up")

    def __init__(self, bounds: BoundedConnections, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(server, loop=loop, keepalive_timeout=bounds.keep_alive)
        self._bounds = bounds
        self._leaving = False
        self.hang_up: Callable[[], None] = _nothing

    def leave(self) -> None:
        """Close now, or where it was accepted in this very turn, as soon as that can be."""
        self._leaving = True
        if self.transport is None:
            self.hang_up()
        else:
            # A close would wait for who has not read everything, and TLS for who does not say goodbye.
            self.transport.abort()

    @property
    def is_unread(self) -> bool:
        """Whether the reader has left a part of its answer unread."""
        return self.transport is not None and self.transport.get_write_buffer_size() > 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._leaving:
            self.leave()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._bounds.lost(self)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What aiohttp answers when a handler fails, or when it hears no HTTP."""
        gone = request.transport is None or request.transport.is_closing()
        if isinstance(exc, ConnectionError) and gone:
            raise exc
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            line = f"this is no HTTP request: {(message or 'Bad Request').splitlines()[0]}"
        else:
            _log.error("an answer failed", extra=fields(method=request.method, path=request.path), exc_info=exc)
            line = f"{request.path} cannot be answered, through a fault of svcproxy's: its log says more"
        if gone or request.writer.output_size > 0:
            # aiohttp closes then. Who has a part of an answer must not take it for the whole.
            raise ConnectionResetError(line)
        response = self._bounds.failure(status, line)
        response.force_close()
        return response


class Refused(asyncio.Protocol):
    """One that finds no place: its request is read where it `may_ask`, refused, and that is all."""

    def __init__(self, bounds: BoundedConnections, may_ask: bool) -> None:
        self._bounds = bounds
        self.may_ask = may_ask
        self._transport: asyncio.Transport | None = None
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self.may_ask:
            self._end = asyncio.get_running_loop().call_later(REFUSAL, self._transport.abort)
        else:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        # Before the request is read, a close would be a reset and take the answer with it.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(self._bounds.refusal)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
        self._bounds.lost(self)


def _backlog_of(most: int) -> int:
    return max(_SHORTEST_BACKLOG, min(most, _LONGEST_BACKLOG))


def _most_refused_of(most: int) -> int:
    return max(1, most // 8)


def _refusal(answer: web.Response) -> bytes:
    """An answer as it goes over the wire, before it is known what was asked."""
    body = cast("bytes", answer.body)
    head = (
        f"HTTP/1.1 {answer.status} {answer.reason}\r\nContent-Type: {answer.content_type}\r\nRetry-After: 1\r\n"
        f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


def _nothing() -> None:
    """There is nobody to hang up on."""
