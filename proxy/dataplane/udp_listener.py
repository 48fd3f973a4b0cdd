"""UdpListener: one socket of a UDP frontend, and the flows that came through it.

Imports this room. Invariants: a reply leaves from the address and port the client sent to; a flow whose endpoint
left the pool ends in the same update; there are never more flows than the worker's bound, the one idle for longest
makes room.
"""

import errno
import logging
import socket
from typing import Any

from proxy.dataplane.addresses import is_wildcard
from proxy.dataplane.balancer import Balancer
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.lazy_pool import LazyPool
from proxy.dataplane.packet_info import ANCILLARY_SIZE, Ancillary, local_address, reply_from, request_packet_info
from proxy.dataplane.reactor import LEVEL
from proxy.dataplane.resources import Resources
from proxy.dataplane.udp_flow import UdpFlow
from proxy.dataplane.upstream import Upstream
from proxy.plan.frontend import Frontend

_MOST_DATAGRAMS = 64

_log = logging.getLogger(__name__)


class UdpListener:
    """Forwards for one frontend. The socket is bound and non-blocking when it comes, and is closed here."""

    def __init__(self, frontend: Frontend, sock: socket.socket, pool: LazyPool, resources: Resources) -> None:
        self._socket = sock
        self._burst = 1
        self._wildcard = is_wildcard(frontend.key.address)
        self.flows: dict[object, UdpFlow] = {}
        self.frontend = frontend
        self.pool = pool
        self.resources = resources
        resources.descriptors.occupy(1)
        if self._wildcard:
            request_packet_info(sock)
        resources.reactor.watch(sock.fileno(), self, LEVEL)

    @property
    def balancer(self) -> Balancer:
        """Chooses for the flows of this frontend."""
        return self.pool.built or self.pool.balancer()

    def reconfigure(self, frontend: Frontend, pool: LazyPool) -> None:
        """Take a newer version of the frontend."""
        self.frontend = frontend
        self.pool = pool
        self.settle()

    def settle(self) -> None:
        """The pool changed: end the flows of endpoints that left."""
        for flow in [flow for flow in self.flows.values() if flow.orphaned()]:
            flow.end(CloseReason.ENDPOINT_REMOVED)

    def ready(self, mask: int) -> None:
        """Datagrams are waiting; the burst adapts as a TCP listener's does."""
        receive = self._receive_wildcard if self._wildcard else self._receive
        for received in range(self._burst):
            try:
                receive()
            except BlockingIOError:
                self._burst = max(1, received)
                return
            except OSError as error:
                # An ICMP answer to one of our replies; the datagrams behind it are still there.
                if error.errno not in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH):
                    _log.warning("receive failed on %s: %s", self.frontend.key, error)
        self._burst = min(_MOST_DATAGRAMS, self._burst * 2)

    def crashed(self) -> None:
        """A defect costs that one datagram; the listener goes on."""

    def reply(self, datagram: memoryview, flow: UdpFlow) -> None:
        """Send an upstream's datagram back to the flow's client."""
        try:
            if flow.reply:
                self._socket.sendmsg((datagram,), flow.reply, 0, flow.client)
            else:
                self._socket.sendto(datagram, flow.client)
        except BlockingIOError:
            # A full queue loses datagrams, as a full queue anywhere on the way would.
            return
        except OSError as error:
            _log.debug("reply from %s to %s failed: %s", self.frontend.key, flow.client, error)

    def flow_of(self, host: str, port: int, destination: str) -> UdpFlow | None:
        """The flow that a datagram from this client to this address belongs to, if it is there already."""
        return next(
            (
                flow
                for flow in self.flows.values()
                if flow.client[:2] == (host, port) and self._is_for(flow, destination)
            ),
            None,
        )

    def _is_for(self, flow: UdpFlow, destination: str) -> bool:
        return not self._wildcard or local_address(flow.reply) in ("", destination)

    def close(self, reason: CloseReason = CloseReason.FRONTEND_REMOVED) -> None:
        """Close the socket and end its flows."""
        for flow in list(self.flows.values()):
            flow.end(reason)
        self.resources.reactor.unwatch(self._socket.fileno())
        self._socket.close()
        self.resources.descriptors.give(1)

    def _receive(self) -> None:
        reactor = self.resources.reactor
        size, client = self._socket.recvfrom_into(reactor.buffer)
        flow = self.flows.get(client)
        self._forward(flow or self._new_flow(client, client, ()), reactor.view[:size])

    def _receive_wildcard(self) -> None:
        reactor = self.resources.reactor
        size, ancillary, _, client = self._socket.recvmsg_into([reactor.buffer], ANCILLARY_SIZE)
        reply = reply_from(ancillary)
        key = (client, reply)
        self._forward(self.flows.get(key) or self._new_flow(key, client, reply), reactor.view[:size])

    def _forward(self, flow: UdpFlow | None, datagram: memoryview) -> None:
        if flow is None:
            return
        try:
            flow.forward(datagram)
        except ConnectionRefusedError:
            flow.refuse()
            again = self._new_flow(flow.key, flow.client, flow.reply, (flow.upstream,))
            if again is not None:
                again.forward(datagram)

    def _new_flow(self, key: object, client: Any, reply: Ancillary, tried: tuple[Upstream, ...] = ()) -> UdpFlow | None:
        """A flow to the upstream that is chosen for this client, or None: the datagram is lost."""
        resources = self.resources
        if not self._make_room():
            return None
        destination = self._destination(reply)
        while (upstream := self.balancer.choose(client[0], destination, resources.reactor.now, tried)) is not None:
            try:
                flow = UdpFlow(self, key, client, reply, self.balancer, upstream)
            except OSError as error:
                # No descriptor to be had: our own trouble, and no fault of the upstream.
                upstream.ended()
                _log.warning("no flow for %s: %s", self.frontend.service, error)
                break
            if self._open(flow):
                return flow
            self.balancer.refused(upstream, client[0], resources.reactor.now)
            tried = (*tried, upstream)
        resources.descriptors.put_back(1)
        return None

    def _open(self, flow: UdpFlow) -> bool:
        try:
            flow.open()
        except OSError as error:
            _log.debug("no way to %s for %s: %s", flow.upstream, self.frontend.service, error)
            return False
        self.flows[flow.key] = flow
        self.resources.flows.add(flow)
        return True

    def _make_room(self) -> bool:
        """Take one descriptor, from the flow that has been idle for longest if there is none left."""
        resources = self.resources
        if len(resources.flows) < resources.most_flows and resources.descriptors.take(1):
            return True
        oldest = resources.flows.nearest()
        if isinstance(oldest, UdpFlow):
            oldest.end(CloseReason.FLOW_EVICTED)
        return resources.descriptors.take(1)

    def _destination(self, reply: Ancillary) -> str:
        address = self.frontend.key.address
        if self.balancer.by_destination and self._wildcard:
            return local_address(reply) or address
        return address
