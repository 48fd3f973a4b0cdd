"""A listening socket whose clients speak TLS before their connection hears of them.

asyncio's own server tells nobody of a client whose handshake is not over, and so of none that never begins one.
Invariant: a client has a place among the connections from its accept to its close.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Sequence
from functools import partial
from ssl import SSLContext

from aiohttp import web

from proxy.logs import fields
from proxy.serving.bounded_connections import BoundedConnections, Connection, Refused

PATIENCE = 10.0
"""Seconds that a handshake may take."""
BACKLOG = 128
"""Clients that wait to be accepted, which takes none of our descriptors: one is accepted at a time."""
PAUSE = 1.0
"""Seconds until the next try where no descriptor is left."""

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = logging.getLogger(__name__)


class TLSServer(asyncio.AbstractServer):
    """Listens from its making to `wait_closed`; `server` makes answers. Making it raises OSError."""

    def __init__(
        self, host: str, port: int, connections: BoundedConnections, server: web.Server, context: SSLContext
    ) -> None:
        self._connections = connections
        self._http = server
        self._context = context
        self._loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
        self._listener.setblocking(False)
        self._handshakes: dict[asyncio.Task[None], socket.socket] = {}
        self._accepting = self._loop.create_task(self._accept(), name="accept clients that speak TLS")

    @property
    def sockets(self) -> Sequence[socket.socket]:
        """What listens, as an asyncio server has it."""
        return (self._listener,) if self.is_serving() else ()

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def is_serving(self) -> bool:
        return self._listener.fileno() >= 0

    async def start_serving(self) -> None:
        """It does from its making."""

    async def serve_forever(self) -> None:
        await asyncio.shield(self._accepting)

    def close(self) -> None:
        """Accept nobody any more, and hang up on who is not through its handshake."""
        self._accepting.cancel()
        for client in self._handshakes.values():
            _hang_up(client)

    async def wait_closed(self) -> None:
        """Wait until nobody is accepted any more, and listen no more."""
        await asyncio.gather(self._accepting, *self._handshakes, return_exceptions=True)
        self._listener.close()

    async def _accept(self) -> None:
        while True:
            try:
                client, _ = await self._loop.sock_accept(self._listener)
            except OSError as error:
                await self._not_accepted(error)
                continue
            try:
                self._admit(client)
            except Exception:
                # A defect costs the client that met it.
                client.close()
                _log.exception("a client was not let in", extra=fields(server=self._connections.name))

    async def _not_accepted(self, error: OSError) -> None:
        """The client is gone already, or there is nothing left for it: then it waits in the backlog."""
        if error.errno in _EXHAUSTED:
            _log.warning(f"no client can be accepted: {error.strerror}", extra=fields(server=self._connections.name))
            await asyncio.sleep(PAUSE)

    def _admit(self, client: socket.socket) -> None:
        connection = self._connections.next(self._http)
        if isinstance(connection, Connection):
            connection.hang_up = partial(_hang_up, client)
        elif not connection.may_ask:
            client.close()
            self._connections.lost(connection)
            return
        task = self._loop.create_task(self._shake_hands(client, connection), name="shake hands")
        self._handshakes[task] = client
        task.add_done_callback(self._handshakes.pop)

    async def _shake_hands(self, client: socket.socket, connection: Connection | Refused) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection, client, ssl=self._context, ssl_handshake_timeout=PATIENCE
            )
        except BaseException as error:
            self._connections.lost(connection)
            # It speaks no TLS, trusts others than us, or went away.
            if not isinstance(error, OSError):
                raise


def _hang_up(client: socket.socket) -> None:
    """End it, whoever has the descriptor: they hear of it, and close."""
    try:
        client.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It is closed already, or the other side was quicker.
        return
