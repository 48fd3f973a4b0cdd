"""The name service of the proxy: taking the addresses that DNS is served on.

Invariant: an address that cannot be had is said once and tried again,
and costs nobody else anything; where nothing is to be served, nothing is kept.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator, Sequence

from proxy.capture.bind_failure import explain
from proxy.capture.listening_socket import open_listening_socket
from proxy.configuration.config import Configuration
from proxy.dns.name_places import name_places
from proxy.dns.name_report import NameReport
from proxy.dns.name_server import NameServer
from proxy.dns.settings import USUAL_BOUNDS, DNSBounds, SocketAddress
from proxy.dns.statistics import DNSStatistics
from proxy.logs import fields
from proxy.model.changes import Changes
from proxy.plan.frontend import Frontend, FrontendKey

FIRST_RETRY = 1.0
LONGEST_RETRY = 5.0

_log = logging.getLogger(__name__)


class NameService:
    """Holds a name server where the configuration asks for one. `is_routed` tells which addresses need IP_FREEBIND,
    `bounds` how many descriptors it may take."""

    def __init__(
        self, configuration: Configuration, is_routed: Callable[[str], bool], bounds: DNSBounds = USUAL_BOUNDS
    ) -> None:
        self._missing = list(name_places(configuration))
        self._is_routed = is_routed
        self._server: NameServer | None = None
        if self._missing:
            self._server = NameServer(configuration.dns, configuration.service_cluster_ip_range, bounds)
        self._retry: asyncio.Task[None] | None = None

    @property
    def addresses(self) -> Sequence[SocketAddress]:
        """Where names are answered."""
        return self._server.addresses if self._server else ()

    def apply(self, changes: Changes) -> None:
        """Take one batch of the source's."""
        if self._server is not None:
            self._server.apply(changes)

    def names(self) -> Iterator[NameReport]:
        """What is answered."""
        return self._server.names() if self._server else iter(())

    def statistics(self) -> DNSStatistics:
        """The counts of this moment."""
        return self._server.statistics() if self._server else DNSStatistics()

    async def start(self) -> None:
        """Take the addresses, once the first state is known; what cannot be had is tried again meanwhile."""
        if self._server is None:
            return
        await self._take(self._server, is_first=True)
        if self._missing:
            self._retry = asyncio.create_task(self._keep_trying(self._server), name="retry DNS binds")

    async def stop(self) -> None:
        """Answer no more."""
        if self._retry is not None:
            self._retry.cancel()
            await asyncio.gather(self._retry, return_exceptions=True)
        if self._server is not None:
            await self._server.close()

    async def _keep_trying(self, server: NameServer) -> None:
        pause = FIRST_RETRY
        while self._missing:
            await asyncio.sleep(pause)
            pause = min(LONGEST_RETRY, pause * 2)
            await self._take(server, is_first=False)

    async def _take(self, server: NameServer, is_first: bool) -> None:
        """Serve on those of the missing addresses that can be had."""
        for places in tuple(self._missing):
            try:
                udp, tcp = self._open_first(places)
            except _CannotListen as failure:
                if is_first:
                    reason = await asyncio.to_thread(failure.explain)
                    _log.warning(f"cannot serve DNS: {reason}, or choose another address with --dns ADDR:PORT|off")
                continue
            self._missing.remove(places)
            await server.serve(udp, tcp)
            host, port = server.addresses[-1]
            _log.info("serving DNS", extra=fields(address=host, port=port))

    def _open_first(self, places: Sequence[SocketAddress]) -> tuple[socket.socket, socket.socket]:
        """The sockets at the first of the places that can be had. Raises _CannotListen about the last."""
        for place in places[:-1]:
            with contextlib.suppress(_CannotListen):
                return self._open(place)
        return self._open(places[-1])

    def _open(self, place: SocketAddress) -> tuple[socket.socket, socket.socket]:
        opened: list[socket.socket] = []
        for protocol in ("UDP", "TCP"):
            host, port = place if not opened else opened[0].getsockname()[:2]
            key = FrontendKey(protocol, host, port)
            try:
                opened.append(open_listening_socket(key, routed=self._is_routed(host)))
            except OSError as error:
                for sock in opened:
                    sock.close()
                raise _CannotListen(key, error) from error
        return opened[0], opened[1]


class _CannotListen(Exception):
    """A place cannot be had."""

    def __init__(self, key: FrontendKey, error: OSError) -> None:
        super().__init__(key, error)
        self.key = key
        self.error = error

    def explain(self) -> str:
        """Why, in words. To find who holds the place reads every process of the machine, which is not for a loop, and
        for nobody but a reader."""
        return str(explain(Frontend(self.key, "", "DNS", "DNS"), self.error))
