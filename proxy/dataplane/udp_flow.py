"""UdpFlow: the datagrams of one client address with one upstream, until they pause for long enough.

Invariant: a flow holds one connected socket, so that replies of its upstream, and of nobody else, come back to its
client; it ends once, with one reason. What each event makes of a flow is the table in `udp_flow_state.py`.
"""

import errno
from socket import SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SocketType
from time import monotonic
from typing import Final, Protocol

from proxy.dataplane.access_log import FlowRecord
from proxy.dataplane.addresses import endpoint_text
from proxy.dataplane.balancer import Balancer
from proxy.dataplane.close_reason import CloseReason, Side, reason_of
from proxy.dataplane.envelope import EnvelopeLayout
from proxy.dataplane.fragments import allow_fragments
from proxy.dataplane.reactor import LEVEL
from proxy.dataplane.reply_queue import ReplyQueue
from proxy.dataplane.resources import Resources
from proxy.dataplane.udp_flow_state import TRANSITIONS, FlowEvent, FlowState
from proxy.dataplane.upstream import Upstream
from proxy.plan.frontend import Frontend
from proxy.shared_counts.layout import PoolCell

_DATAGRAM: Final = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC
# A member of an enumeration is a slower constant.
_SENT_DATAGRAMS: Final = int(PoolCell.SENT_DATAGRAMS)
_UNANSWERED: Final = FlowState.UNANSWERED
_OVER: Final = FlowState.OVER
_LOOK_EVERY: Final = 16
_LOST: Final = (errno.EMSGSIZE, errno.ENOBUFS, errno.ENOMEM)
"""One datagram is too long for its path, or the machine has no room for it: it is lost, as on any path."""


class FlowOwner(Protocol):
    """The frontend that a flow came through. Answers leave by `replies`, from the socket `descriptor`."""

    frontend: Frontend
    layout: EnvelopeLayout
    replies: ReplyQueue
    resources: Resources
    descriptor: int

    def balancer_of(self, client: str) -> Balancer:
        """Chooses for this client."""
        ...

    def left(self, flow: "UdpFlow") -> None:
        """The flow is over."""


class UdpFlow:
    """`envelope` is the one that its first datagram came in, `key` its place in the listener. `send` takes a client's
    datagram to the upstream; who calls it counts in `received`, notes the time in `used`, and tells `not_sent` where it
    raises OSError."""

    __slots__ = (
        "_connected",
        "_descriptor",
        "_front",
        "_in_bursts",
        "_reactor",
        "_receive",
        "_replies",
        "_reply_envelope",
        "_sent",
        "_socket",
        "_started",
        "_turns",
        "balancer",
        "client",
        "envelope",
        "key",
        "listener",
        "received",
        "send",
        "state",
        "upstream",
        "used",
    )

    def __init__(
        self,
        listener: FlowOwner,
        envelope: bytes,
        client: tuple[str, int],
        balancer: Balancer,
        upstream: Upstream,
    ) -> None:
        layout = listener.layout
        self.listener = listener
        self.envelope = envelope
        self.key = envelope[layout.key_start : layout.key_end]
        self.client = client
        self.upstream = upstream
        self.state = _UNANSWERED
        self.received = self._sent = 0
        self.balancer = balancer
        self._connected = 0.0
        self._front = listener.descriptor
        self._replies = listener.replies
        self._reply_envelope = layout.answering(envelope)
        self._reactor = listener.resources.reactor
        self._in_bursts = False
        self._turns = 0
        self._started = self.used = monotonic()
        self._socket = SocketType(upstream.family, _DATAGRAM)
        self._descriptor = self._socket.fileno()
        self._receive = self._socket.recv_into
        self.send = self._socket.send

    def open(self) -> None:
        """Connect the socket and watch it. Raises OSError, with the socket closed, where there is no way to the
        upstream, or nobody is there."""
        sock, place = self._socket, self.upstream.sockaddr
        try:
            allow_fragments(sock)
            sock.connect(place)
            # An endpoint of this machine that is down, and whose port the kernel has just given to this very socket:
            # the client would get its own words back.
            if sock.getsockname()[:2] == place:
                raise ConnectionRefusedError(errno.ECONNREFUSED, "nobody is there but ourselves")
            self._reactor.watch(self._descriptor, self, LEVEL)
        except OSError:
            sock.close()
            raise

    def ready(self, mask: int) -> None:
        """The upstream has replied, or refused. Measured hot path: one reply a turn, and every so often a look whether
        more are there, which costs less than finding out each time that none is."""
        if self._in_bursts:
            self._ready_for_burst()
            return
        replies = self._replies
        try:
            size = self._receive(replies.free)
        except OSError as error:
            self._not_received(error)
            return
        replies.put(self._front, self._reply_envelope, size)
        self.used = self._reactor.now
        self._sent += size
        # Written with the next datagram of a client, or the end of the flow.
        self.balancer.tally.counts[_SENT_DATAGRAMS] += 1
        if self.state is _UNANSWERED:
            self._happened(FlowEvent.ANSWER)
        self._turns = turns = self._turns + 1
        if turns == _LOOK_EVERY:
            self._turns = 0
            self._in_bursts = True

    def crashed(self) -> None:
        """A defect in a handler: end this flow alone."""
        self.end(CloseReason.ERROR)

    def not_sent(self, error: OSError) -> None:
        """A datagram did not leave: it is lost, or nobody is there, or the flow has come to its end."""
        if error.errno in _LOST:
            self._happened(FlowEvent.LOSS)
        elif isinstance(error, ConnectionRefusedError):
            self._happened(FlowEvent.REFUSAL, CloseReason.CONNECT_REFUSED)
        else:
            self.end(reason_of(error, Side.BACKEND))

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state is _OVER

    def orphaned(self) -> bool:
        """Whether the upstream is no longer an endpoint of the frontend's pool."""
        return not self.listener.balancer_of(self.client[0]).serves(self.upstream)

    def deadline(self) -> float:
        """When it counts as idle."""
        limit = self.balancer.pool.idle_timeout
        return self.used + limit if limit else float("inf")

    def end(self, reason: CloseReason) -> None:
        """Close and account. Safe to call twice."""
        self._happened(FlowEvent.END, reason)

    @property
    def carried(self) -> tuple[int, int]:
        """Bytes sent to the upstream, and to the client."""
        return self.received, self._sent

    def record(self) -> FlowRecord:
        """What this flow has come to so far."""
        key = self.listener.frontend.key
        return FlowRecord(
            client=endpoint_text(self.client[0], self.client[1]),
            service=self.listener.frontend.service,
            frontend=f"{endpoint_text(key.address, key.port)}/{key.protocol}",
            endpoint=str(self.upstream),
            pod=self.upstream.pod,
            received=self.received,
            sent=self._sent,
            connect_seconds=self._connected - self._started if self._connected else -1.0,
            seconds=monotonic() - self._started,
        )

    def _ready_for_burst(self) -> None:
        """Take as many replies as there are in one call; one or none ends the burst."""
        replies = self._replies
        try:
            sizes = replies.receive(self._descriptor)
        except OSError as error:
            self._not_received(error)
            return
        for size in sizes:
            replies.put(self._front, self._reply_envelope, size)
            self._sent += size
            # Written with the next datagram of a client, or the end of the flow.
            self.balancer.tally.counts[_SENT_DATAGRAMS] += 1
        if len(sizes) < 2:
            self._in_bursts = False
        if sizes:
            self.used = self._reactor.now

    def _happened(self, event: FlowEvent, reason: CloseReason = CloseReason.ERROR) -> None:
        before = self.state
        self.state = TRANSITIONS[before][event]
        if self.state is before:
            return
        if self.state is _OVER:
            self._close(before, event, reason)
        else:
            self._answered()

    def _answered(self) -> None:
        """The upstream's first reply."""
        self._connected = monotonic()
        self.balancer.opened(self.upstream)
        if self.upstream.failures:
            self.balancer.forgive(self.upstream)

    def _close(self, before: FlowState, event: FlowEvent, reason: CloseReason) -> None:
        resources, upstream = self.listener.resources, self.upstream
        if event is FlowEvent.REFUSAL:
            # The client's next datagram goes elsewhere.
            self.balancer.refused(upstream, self.client[0], monotonic())
        else:
            upstream.ended()
        if before is _UNANSWERED:
            # Nobody answered, which is as it should be with many: it began all the same.
            self.balancer.opened(upstream)
        resources.accounts.closed(self, upstream, reason, self.carried, monotonic() - self._started)
        self.listener.left(self)
        resources.flows.discard(self)
        resources.reactor.close_now(self._socket)
        resources.descriptors.give_flow()
        if resources.access_log is not None and resources.access_log.wants(reason):
            resources.access_log.write(self.record(), reason)

    def _not_received(self, error: OSError) -> None:
        if error.errno == errno.EMSGSIZE or isinstance(error, BlockingIOError):
            # A router's word about a datagram that has left, or nothing after all.
            return
        if isinstance(error, ConnectionRefusedError):
            self._happened(FlowEvent.REFUSAL, CloseReason.CONNECT_REFUSED)
        else:
            self.end(reason_of(error, Side.BACKEND))
