"""UdpListener: one socket of a UDP frontend, and the flows that came through it.

Imports this room. Invariants: a reply leaves from the address and port the client sent to; a flow whose endpoint
left the pool ends in the same update; there are never more flows than the worker's bound, the one idle for longest
makes room.
"""

import errno
import logging
import socket

from proxy.dataplane.addresses import is_wildcard
from proxy.dataplane.balancer import Balancer
from proxy.dataplane.close_reason import CloseReason, Side, reason_of
from proxy.dataplane.envelope import ENVELOPE_SIZE, layout_of
from proxy.dataplane.lazy_pool import LazyPool
from proxy.dataplane.packet_info import request_packet_info
from proxy.dataplane.reactor import LEVEL
from proxy.dataplane.resources import Resources
from proxy.dataplane.udp_flow import UdpFlow
from proxy.dataplane.upstream import Upstream
from proxy.plan.frontend import Frontend
from proxy.shared_counts.layout import PoolCell

# A member of an enumeration is a slower constant.
_RECEIVED_DATAGRAMS = int(PoolCell.RECEIVED_DATAGRAMS)

_log = logging.getLogger(__name__)


class UdpListener:
    """Forwards for one frontend. The socket is bound and non-blocking when it comes, and is closed here. `flows` are by
    the key of their envelopes; `replies` is where their answers go."""

    def __init__(self, frontend: Frontend, sock: socket.socket, pool: LazyPool, resources: Resources) -> None:
        wildcard = is_wildcard(frontend.key.address)
        self._socket = sock
        self.descriptor = sock.fileno()
        self.layout = layout_of(sock.family, wildcard)
        self.flows: dict[bytes, UdpFlow] = {}
        self.frontend = frontend
        self.pool = pool
        self.resources = resources
        self.replies = resources.replies(self.layout)
        self._inbox = resources.inbox(self.layout)
        resources.descriptors.occupy(1)
        if wildcard:
            request_packet_info(sock)
        resources.reactor.watch(self.descriptor, self, LEVEL)

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
        """Datagrams are waiting: take one call's worth, the rest has the next turn. Measured hot path."""
        inbox = self._inbox
        try:
            count = inbox.receive(self.descriptor)
        except OSError as error:
            self._receive_failed(error)
            return
        envelopes = bytes(inbox.envelopes)
        flows, sizes, slots, now = self.flows, inbox.sizes, inbox.slots, self.resources.reactor.now
        start, end = self.layout.key_start, self.layout.key_end
        for index in range(count):
            flow = flows.get(envelopes[start:end])
            start += ENVELOPE_SIZE
            end += ENVELOPE_SIZE
            if flow is None:
                place = index * ENVELOPE_SIZE
                flow = self._new_flow(envelopes[place : place + ENVELOPE_SIZE])
                if flow is None:
                    continue
            datagram = slots[index][: sizes[index]]
            try:
                flow.used = now
                flow.received += flow.send(datagram)
            except BlockingIOError:
                # A full queue loses datagrams, as a full queue anywhere on the way would.
                continue
            except OSError as error:
                self._not_sent(flow, datagram, error)
        tally = self.balancer.tally
        tally.counts[_RECEIVED_DATAGRAMS] += count
        tally.touch()

    def crashed(self) -> None:
        """A defect costs the datagrams of that turn; the listener goes on."""

    def flow_of(self, host: str, port: int, destination: str) -> UdpFlow | None:
        """The flow that a datagram from this client to this address belongs to, if it is there already."""
        return next(
            (
                flow
                for flow in self.flows.values()
                if flow.client == (host, port) and self.layout.local(flow.envelope) in ("", destination)
            ),
            None,
        )

    def close(self, reason: CloseReason = CloseReason.FRONTEND_REMOVED) -> None:
        """Close the socket, once what is under way is sent, and end its flows."""
        for flow in list(self.flows.values()):
            flow.end(reason)
        self.replies.flush()
        self.resources.reactor.unwatch(self.descriptor)
        self._socket.close()
        self.resources.descriptors.give(1)

    def _receive_failed(self, error: OSError) -> None:
        # An ICMP answer to one of our replies; the datagrams behind it are still there.
        if error.errno not in (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH):
            _log.warning("receive failed on %s: %s", self.frontend.key, error)

    def _not_sent(self, flow: UdpFlow, datagram: memoryview, error: OSError) -> None:
        """An earlier datagram of the flow was refused, and with that this one was not sent: it goes elsewhere. Anything
        else ends the flow."""
        if not isinstance(error, ConnectionRefusedError):
            flow.end(reason_of(error, Side.BACKEND))
            return
        flow.refuse()
        again = self._new_flow(flow.envelope, (flow.upstream,))
        if again is not None:
            again.received += again.send(datagram)

    def _new_flow(self, envelope: bytes, tried: tuple[Upstream, ...] = ()) -> UdpFlow | None:
        """A flow to the upstream that is chosen for this client, or None: the datagram is lost."""
        resources = self.resources
        if not self._make_room():
            return None
        client = self.layout.client(envelope)
        destination = self.layout.local(envelope) or self.frontend.key.address
        while (upstream := self.balancer.choose(client[0], destination, resources.reactor.now, tried)) is not None:
            try:
                flow = UdpFlow(self, envelope, client, self.balancer, upstream)
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
