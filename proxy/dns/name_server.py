"""The name server: index, responders, forwarder and the servers on their sockets, as one.

Invariant: a change that `apply` has returned from is in every answer after it; `close` leaves no
socket and no task.
"""

import asyncio
import logging
import socket
from collections.abc import Iterator, Sequence
from random import SystemRandom

from proxy.dns.forwarder import Forwarder, UpstreamKey
from proxy.dns.message import write_error
from proxy.dns.name_index import NameIndex
from proxy.dns.name_listing import name_reports
from proxy.dns.name_report import NameReport
from proxy.dns.question import CHECKING_DISABLED
from proxy.dns.record_types import NOERROR, NXDOMAIN, REFUSED
from proxy.dns.resolution import Resolution
from proxy.dns.responder import Responder, Unfinished
from proxy.dns.settings import USUAL_BOUNDS, DNSBounds, DNSSettings, SocketAddress
from proxy.dns.statistics import DNSStatistics
from proxy.dns.tcp_connections import TCPConnections
from proxy.dns.tcp_server import TCPServer
from proxy.dns.udp_server import Reply, UDPServer
from proxy.dns.upstream_message import completed
from proxy.dns.upstream_servers import UpstreamServers
from proxy.model.changes import Changes

MOST_WAITING = 1_000
"""Questions over UDP that wait for upstream; what comes on top is dropped, and asked again by whoever asked."""

_log = logging.getLogger(__name__)


class NameServer:
    """Made inside the running loop; knows nothing and listens nowhere at first."""

    def __init__(self, settings: DNSSettings, service_ranges: Sequence[str], bounds: DNSBounds = USUAL_BOUNDS) -> None:
        self._settings = settings
        self._index = NameIndex(settings.zone, service_ranges)
        recursive = settings.upstream != "none"
        self._by_datagram = Responder(self._index, settings.ttl, datagrams=True, recursive=recursive)
        self._by_stream = Responder(self._index, settings.ttl, datagrams=False, recursive=recursive)
        self._upstream = UpstreamServers(settings)
        self._forwarder = Forwarder(self._upstream, SystemRandom(), bounds.exchanges)
        self._connections = TCPConnections(bounds.connections)
        self._udp_servers: list[UDPServer] = []
        self._tcp_servers: list[TCPServer] = []
        self._waiting: set[asyncio.Task[None]] = set()
        self._loop_was_said = False
        self.addresses: tuple[SocketAddress, ...] = ()

    def apply(self, changes: Changes) -> None:
        """Take one batch of the source's."""
        self._index.apply(changes)

    async def serve(self, udp: socket.socket, tcp: socket.socket) -> None:
        """Answer on one more address: two bound sockets, the second one listening. They are closed with this server."""
        server = TCPServer(tcp, self._by_stream, self._finished, self._connections)
        self._tcp_servers.append(server)
        self._udp_servers.append(UDPServer(udp, self._by_datagram, self._finish_later))
        host, port = udp.getsockname()[:2]
        self.addresses = (*self.addresses, (host, port))
        self._index.serve_at(host for host, _ in self.addresses)
        self._upstream.serve_at(self.addresses)
        await server.start()

    def names(self) -> Iterator[NameReport]:
        """What is answered for Services."""
        return name_reports(self._index, self._settings.ttl)

    def statistics(self) -> DNSStatistics:
        """The counts of this moment."""
        counters = (self._by_datagram.counter, self._by_stream.counter)
        return DNSStatistics(
            answers=tuple(count for counter in counters for count in counter.answers()),
            dropped=sum(counter.dropped for counter in counters),
            forwarded=self._forwarder.forwarded,
            upstream_failures=self._forwarder.failures,
            upstream_cache_hits=self._forwarder.hits,
            names=len(self._index.nodes),
            tcp_connections=len(self._connections),
        )

    async def close(self) -> None:
        """Stop answering."""
        for udp_server in self._udp_servers:
            udp_server.close()
        for tcp_server in self._tcp_servers:
            await tcp_server.close()
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)
        await self._forwarder.close()

    def _finish_later(self, unfinished: Unfinished, reply: Reply) -> None:
        remembered = self._forwarder.remembered(_key(unfinished))
        if remembered is not None:
            reply(_completed(unfinished, remembered))
            return
        if len(self._waiting) >= MOST_WAITING:
            self._by_datagram.counter.dropped += 1
            return
        task = asyncio.create_task(self._reply(unfinished, reply), name="DNS answer over UDP")
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _reply(self, unfinished: Unfinished, reply: Reply) -> None:
        reply(await self._finished(unfinished))

    async def _finished(self, unfinished: Unfinished) -> bytes:
        """The answer with upstream's part."""
        key = _key(unfinished)
        resolution = self._forwarder.remembered(key)
        if resolution is None:
            if self._forwarder.is_ours(unfinished.question.asked[:-4]):
                self._say_that_upstream_leads_here()
                unfinished.counter.count(unfinished.question.record_type, REFUSED)
                return write_error(unfinished.question, REFUSED, recursion_available=True)
            resolution = await self._forwarder.resolve(key)
        return _completed(unfinished, resolution)

    def _say_that_upstream_leads_here(self) -> None:
        if not self._loop_was_said:
            self._loop_was_said = True
            _log.warning(
                "an upstream DNS server asks us what we ask it; such questions are refused: "
                "let it ask us about the cluster's zone alone, or name others in dns.upstream"
            )


def _key(unfinished: Unfinished) -> UpstreamKey:
    question = unfinished.question
    checking_disabled = bool(question.flags & CHECKING_DISABLED)
    return unfinished.name, question.record_type, question.dnssec_ok, checking_disabled


def _completed(unfinished: Unfinished, resolution: Resolution) -> bytes:
    """The answer, counted."""
    question, _, begun, limit, counter = unfinished
    if begun is not None and resolution.rcode not in (NOERROR, NXDOMAIN):
        # The CNAME is true without upstream, and what a laptop without a network can be told.
        resolution = Resolution(NOERROR)
    counter.count(question.record_type, resolution.rcode)
    return completed(question, begun, resolution, limit)
