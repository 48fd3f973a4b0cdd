"""UdpListener: one socket of a UDP frontend, and the flows that came through it.

Invariants: a reply leaves from the address and port the client sent to; a flow whose endpoint
left the pool ends in the same update, and none begins in a listener that closes; there are never more flows than the
worker's bound, the one idle for longest makes room.
"""

import logging
import socket

from proxy.dataplane.addresses import is_wildcard
from proxy.dataplane.balancer import Balancer
from proxy.dataplane.close_reason import CloseReason, Side, reason_of
from proxy.dataplane.envelope import layout_of, shared_layout_of
from proxy.dataplane.flow_eviction import take_flow
from proxy.dataplane.lazy_pool import LazyPool
from proxy.dataplane.own_clients import OwnClients
from proxy.dataplane.packet_info import request_packet_info
from proxy.dataplane.reply_socket import open_reply_socket
from proxy.dataplane.resources import Resources
from proxy.dataplane.steps import Steps
from proxy.dataplane.udp_flow import UdpFlow
from proxy.dataplane.udp_receiver import UdpReceiver
from proxy.dataplane.upstream import Upstream
from proxy.plan.frontend import Frontend

_LOOKS_A_STEP = 64
"""Flows that are looked at and go on; to end one takes as long as to look at fifty."""

_log = logging.getLogger(__name__)


class UdpListener:
    """Forwards for one frontend. The socket is bound and non-blocking when it comes, and is closed here; None where
    shared ones serve it, and then answers leave from a socket that is open as long as there are flows. `flows` are by
    the key of their envelopes; `replies` is where their answers go."""

    def __init__(
        self,
        frontend: Frontend,
        sock: socket.socket | None,
        pool: LazyPool,
        resources: Resources,
        own: OwnClients | None = None,
    ) -> None:
        wildcard = is_wildcard(frontend.key.address)
        family = socket.AF_INET6 if ":" in frontend.key.address else socket.AF_INET
        self.layout = shared_layout_of(family) if sock is None else layout_of(family, wildcard)
        self.flows: dict[bytes, UdpFlow] = {}
        self.frontend = frontend
        self.own = own
        self.pool = pool
        self.resources = resources
        self.replies = resources.replies(self.layout)
        self._receiver: UdpReceiver | None = None
        self._answering: socket.socket | None = None
        if sock is not None:
            if wildcard:
                request_packet_info(sock)
            self.descriptor = sock.fileno()
            self._receiver = UdpReceiver(sock, self.layout, resources, lambda envelope: self)
        else:
            self.descriptor = -1

    @property
    def balancer(self) -> Balancer:
        """Chooses for the flows of this frontend."""
        return self.pool.built or self.pool.balancer()

    def balancer_of(self, client: str) -> Balancer:
        """Chooses for this client."""
        return self.balancer if self.own is None else self.own.pool_of(client, self.pool).balancer()

    def reconfigure(self, frontend: Frontend, pool: LazyPool, own: OwnClients | None = None) -> Steps:
        """Take a newer version of the frontend."""
        self.frontend = frontend
        self.own = own
        self.pool = pool
        return self.settle()

    def settle(self) -> Steps:
        """The pool changed: end the flows of endpoints that left. What begins meanwhile chooses among the others."""
        for number, flow in enumerate(tuple(self.flows.values()), 1):
            if flow.orphaned():
                flow.end(CloseReason.ENDPOINT_REMOVED)
                yield
            elif not number % _LOOKS_A_STEP:
                yield

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

    def close(self, reason: CloseReason) -> Steps:
        """Take nothing more, end the flows, and close the socket once what is under way is sent."""
        if self._receiver is not None:
            self._receiver.pause()
        for flow in tuple(self.flows.values()):
            flow.end(reason)
            yield
        self.replies.flush()
        if self._receiver is not None:
            self._receiver.close()
            # It finds this listener for its datagrams: a cycle, which no collector would ever free (control_link.py).
            self._receiver = None

    def left(self, flow: UdpFlow) -> None:
        """The flow has ended; with the last one goes the socket that answers were sent from."""
        if self.flows.pop(flow.key, None) is not None and not self.flows:
            self._stop_answering()

    def not_sent(self, flow: UdpFlow, datagram: memoryview, error: OSError) -> None:
        """A datagram of the flow was not sent. Where that is because an earlier one was refused, it goes elsewhere."""
        flow.not_sent(error)
        if not isinstance(error, ConnectionRefusedError):
            return
        again = self.new_flow(flow.envelope, (flow.upstream,))
        if again is None:
            return
        try:
            again.received += again.send(datagram)
        except BlockingIOError:
            # A full queue loses datagrams, as a full queue anywhere on the way would.
            return
        except OSError as failure:
            again.not_sent(failure)

    def new_flow(self, envelope: bytes, tried: tuple[Upstream, ...] = ()) -> UdpFlow | None:
        """A flow to the upstream that is chosen for this client, or None: the datagram is lost, and that counted."""
        resources = self.resources
        # Before a descriptor is taken: a pool may be impossible to build.
        balancer = self.balancer_of(self.layout.client(envelope)[0])
        if not take_flow(resources):
            resources.accounts.failed(balancer, CloseReason.DESCRIPTOR_LIMIT)
            return None
        found = self._begun(balancer, envelope, tried)
        if isinstance(found, UdpFlow):
            return found
        resources.descriptors.put_back_flow()
        if not self.flows:
            self._stop_answering()
        resources.accounts.failed(balancer, found)
        return None

    def _begun(self, balancer: Balancer, envelope: bytes, tried: tuple[Upstream, ...]) -> UdpFlow | CloseReason:
        """The flow, whose descriptor is taken, or why there is none."""
        resources, now = self.resources, self.resources.reactor.now
        reason = CloseReason.CONNECT_REFUSED if tried else CloseReason.NO_ENDPOINTS
        client = self.layout.client(envelope)
        destination = self.layout.local(envelope) or self.frontend.key.address
        if self.descriptor < 0:
            if not take_flow(resources):
                return CloseReason.DESCRIPTOR_LIMIT
            try:
                self._start_answering()
            except OSError as error:
                resources.descriptors.put_back_flow()
                return self._unable(error)
        while (upstream := balancer.choose(client[0], destination, now, tried)) is not None:
            try:
                flow = UdpFlow(self, envelope, client, balancer, upstream)
            except OSError as error:
                # No descriptor to be had: our own trouble, and no fault of the upstream.
                upstream.ended()
                return self._unable(error)
            failure = self._open(flow)
            if failure is None:
                return flow
            reason = failure
            balancer.refused(upstream, client[0], now)
            tried = (*tried, upstream)
        return reason

    def _unable(self, error: OSError) -> CloseReason:
        """The system has no socket for a flow."""
        resources = self.resources
        resources.no_flow.make(resources.reactor.now, f"no flow for {self.frontend.service}: {error}")
        return reason_of(error, Side.CLIENT)

    def _open(self, flow: UdpFlow) -> CloseReason | None:
        """Begin the flow; gives why it cannot be."""
        try:
            flow.open()
        except OSError as error:
            _log.debug("no way to %s for %s: %s", flow.upstream, self.frontend.service, error)
            return reason_of(error, Side.CONNECT)
        self.flows[flow.key] = flow
        self.resources.flows.add(flow)
        return None

    def _start_answering(self) -> None:
        """Have a socket to send answers from, whose descriptor is taken. Raises OSError."""
        self._answering = open_reply_socket(self.frontend.key)
        self.descriptor = self._answering.fileno()

    def _stop_answering(self) -> None:
        if self._answering is not None:
            self.replies.flush()
            self._answering.close()
            self._answering = None
            self.descriptor = -1
            self.resources.descriptors.give_flow()
