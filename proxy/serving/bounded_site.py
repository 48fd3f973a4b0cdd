"""A runner's application on an address, with bounded connections.

aiohttp serves. Invariant: what BoundedConnections counts is all that is open, whatever a client has said by now.
"""

import asyncio
from ssl import SSLContext

from aiohttp import web

from proxy.serving.bounded_connections import BoundedConnections
from proxy.serving.tls_server import TLSServer


class BoundedSite(web.BaseSite):
    """Speaks TLS where there is a `context`."""

    def __init__(
        self,
        runner: web.AppRunner,
        connections: BoundedConnections,
        host: str,
        port: int,
        context: SSLContext | None = None,
    ) -> None:
        super().__init__(runner)
        self._connections = connections
        self._address = host, port
        self._context = context

    @property
    def name(self) -> str:
        host, port = self._address
        return f"{'http' if self._context is None else 'https'}://{host}:{port}"

    async def start(self) -> None:
        """Listen. Raises OSError."""
        await super().start()
        server, connections = self._runner.server, self._connections
        assert server is not None
        host, port = self._address
        if self._context is not None:
            self._server = TLSServer(host, port, connections, server, self._context)
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: connections.next(server), host, port, reuse_address=True, backlog=connections.backlog
        )

    async def stop(self) -> None:
        """Listen no more."""
        await super().stop()
        if isinstance(self._server, TLSServer):
            await self._server.wait_closed()
