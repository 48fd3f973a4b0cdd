"""So many HTTP connections and no more, and an answer for each that is let in, whatever happens.

Imports this room; aiohttp speaks HTTP. Descriptors that the data plane leaves to the control process are few, so each
server has its share of them. Invariants: who comes to a full server takes the place of the connection that has been
without a request for longest, so that those who hold connections and say nothing keep nobody out; where all are busy,
it gets 503 and no place. An error that nobody expected is logged once, with the path, and answered in JSON.
"""

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple, cast

import msgspec
from aiohttp import web

from proxy.admin.json_answer import Failure, Handler, failure
from proxy.logs import fields

KEEP_ALIVE = 75.0
"""Seconds that a connection may be without a request."""
REFUSAL = 1.0
"""Seconds in which one that is refused may say what it wants, to be told so."""

_SHORTEST_BACKLOG, _LONGEST_BACKLOG = 4, 16
_BUSY = Failure("every connection that this address has is in use: close one and try again")
_log = logging.getLogger(__name__)


class HTTPBounds(NamedTuple):
    """How many connections those have at most who ask for health, and those who ask at the admin address."""

    health: int = 16
    admin: int = 64


USUAL_BOUNDS = HTTPBounds()


class BoundedConnections:
    """One server's connections, at most `most`; beyond them a few are on their way out."""

    def __init__(self, most: int, keep_alive: float = KEEP_ALIVE) -> None:
        self.most = most
        self.backlog = max(_SHORTEST_BACKLOG, min(most, _LONGEST_BACKLOG))
        self.keep_alive = keep_alive
        self._open: dict[_Connection, None] = {}
        self._busy: set[web.RequestHandler] = set()
        self._refused: set[_Refused] = set()

    @property
    def descriptors(self) -> int:
        """How many there may be for a moment: a turn of the loop accepts what waits, and only the next one closes."""
        return self.most + self.backlog + self._most_refused

    def protocols(self, server: web.Server) -> Callable[[], asyncio.BaseProtocol]:
        """For `create_server`: makes what speaks with the next client."""
        loop = asyncio.get_running_loop()
        return lambda: self._next(server, loop)

    @web.middleware
    async def mark_busy(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """The middleware, the outermost, that tells who is answered right now."""
        self._busy.add(request.protocol)
        try:
            return await handler(request)
        finally:
            self._busy.discard(request.protocol)

    def lost(self, connection: "_Connection | _Refused") -> None:
        """A connection is closed."""
        if isinstance(connection, _Refused):
            self._refused.discard(connection)
        else:
            self._open.pop(connection, None)

    @property
    def _most_refused(self) -> int:
        return max(1, self.most // 8)

    def _next(self, server: web.Server, loop: asyncio.AbstractEventLoop) -> asyncio.BaseProtocol:
        if len(self._open) < self.most or self._make_room():
            connection = _Connection(self, server, loop)
            self._open[connection] = None
            return connection
        refused = _Refused(self, may_ask=len(self._refused) < self._most_refused)
        self._refused.add(refused)
        return refused

    def _make_room(self) -> bool:
        """Whether there was an idle one, which leaves."""
        idle = [each for each in self._open if each not in self._busy]
        if not idle:
            return False
        leaves = next((each for each in idle if not each.is_unread), idle[0])
        del self._open[leaves]
        leaves.leave()
        return True


class _Connection(web.RequestHandler):
    """One that is let in."""

    __slots__ = ("_bounds", "_leaving")

    def __init__(self, bounds: BoundedConnections, server: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(server, loop=loop, keepalive_timeout=bounds.keep_alive)
        self._bounds = bounds
        self._leaving = False

    def leave(self) -> None:
        """Close now, or where it was accepted in this very turn, as soon as that can be."""
        self._leaving = True
        if self.transport is not None:
            if self.is_unread:
                # A close would wait for the reader.
                self.transport.abort()
            self.force_close()

    @property
    def is_unread(self) -> bool:
        """Whether the reader has left a part of its answer unread."""
        return self.transport is not None and self.transport.get_write_buffer_size() > 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._leaving:
            self.force_close()

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
        response = failure(status, line)
        response.force_close()
        return response


class _Refused(asyncio.Protocol):
    """One that finds no place: its request is read, answered with 503, and that is all."""

    def __init__(self, bounds: BoundedConnections, may_ask: bool) -> None:
        self._bounds = bounds
        self._may_ask = may_ask
        self._transport: asyncio.Transport | None = None
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._may_ask:
            self._end = asyncio.get_running_loop().call_later(REFUSAL, self._transport.abort)
        else:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        # Before the request is read, a close would be a reset and take the answer with it.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_REFUSAL_ANSWER)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
        self._bounds.lost(self)


class BoundedSite(web.BaseSite):
    """A runner's application on an address, with bounded connections."""

    def __init__(self, runner: web.AppRunner, connections: BoundedConnections, host: str, port: int) -> None:
        super().__init__(runner)
        self._connections = connections
        self._address = host, port

    @property
    def name(self) -> str:
        return "http://{}:{}".format(*self._address)

    async def start(self) -> None:
        """Listen. Raises OSError."""
        await super().start()
        server = self._runner.server
        assert server is not None
        protocols = self._connections.protocols(server)
        host, port = self._address
        loop = asyncio.get_running_loop()
        backlog = self._connections.backlog
        self._server = await loop.create_server(protocols, host, port, reuse_address=True, backlog=backlog)


def _refusal_answer() -> bytes:
    body = msgspec.json.encode(_BUSY)
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
        f"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


_REFUSAL_ANSWER = _refusal_answer()
