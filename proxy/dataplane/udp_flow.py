"""UdpFlow: the datagrams of one client address with one upstream, until they pause for long enough.

Imports this room. Invariant: a flow holds one connected socket, so that replies and ICMP refusals of its upstream,
and of nobody else, come back to its client; it ends once, with one reason.
"""

from socket import SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SocketType
from time import monotonic
from typing import TYPE_CHECKING, Final

from proxy.dataplane.access_log import FlowRecord
from proxy.dataplane.addresses import endpoint_text
from proxy.dataplane.balancer import Balancer
from proxy.dataplane.close_reason import CloseReason, Side, reason_of
from proxy.dataplane.reactor import LEVEL
from proxy.dataplane.upstream import Upstream
from proxy.shared_counts.layout import PoolCell

if TYPE_CHECKING:
    from proxy.dataplane.udp_listener import UdpListener

_DATAGRAM: Final = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC
# A member of an enumeration is a slower constant.
_SENT_DATAGRAMS: Final = int(PoolCell.SENT_DATAGRAMS)
_LOOK_EVERY: Final = 16


class UdpFlow:
    """`envelope` is the one that its first datagram came in, `key` its place in the listener. `send` takes a client's
    datagram to the upstream; who calls it counts in `received` and notes the time in `used`."""

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
        "over",
        "received",
        "send",
        "upstream",
        "used",
    )

    def __init__(
        self,
        listener: "UdpListener",
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
        self.over = False
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
        """Connect the socket and watch it. Raises OSError where there is no way to the upstream."""
        try:
            self._socket.connect(self.upstream.sockaddr)
        except OSError:
            self._socket.close()
            raise
        self._reactor.watch(self._descriptor, self, LEVEL)

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
        if not self._connected:
            self._answered()
        self._turns = turns = self._turns + 1
        if turns == _LOOK_EVERY:
            self._turns = 0
            self._in_bursts = True

    def crashed(self) -> None:
        """A defect in a handler: end this flow alone."""
        self.end(CloseReason.ERROR)

    def refuse(self) -> None:
        """The upstream has nobody on its port: the client's next datagram goes elsewhere."""
        if not self.over:
            self.upstream.began()
            self.balancer.refused(self.upstream, self.client[0], monotonic())
            self.end(CloseReason.CONNECT_REFUSED)

    def orphaned(self) -> bool:
        """Whether the upstream is no longer an endpoint of the frontend's pool."""
        return not self.listener.balancer.serves(self.upstream)

    def deadline(self) -> float:
        """When it counts as idle."""
        limit = self.balancer.pool.idle_timeout
        return self.used + limit if limit else float("inf")

    def end(self, reason: CloseReason) -> None:
        """Close and account. Safe to call twice."""
        if self.over:
            return
        self.over = True
        resources = self.listener.resources
        if not self._connected:
            # Nobody answered, which is as it should be with many: it began all the same.
            self.balancer.opened(self.upstream)
        resources.accounts.closed(self, self.upstream, reason, self.carried, monotonic() - self._started)
        self.upstream.ended()
        self.listener.left(self)
        resources.flows.discard(self)
        resources.reactor.close(self._socket)
        resources.descriptors.give(1)
        if resources.access_log is not None and resources.access_log.wants(reason):
            resources.access_log.write(self.record(), reason)

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

    def _answered(self) -> None:
        """The upstream's first reply."""
        self._connected = monotonic()
        self.balancer.opened(self.upstream)
        if self.upstream.failures:
            self.balancer.forgive(self.upstream)

    def _not_received(self, error: OSError) -> None:
        if isinstance(error, BlockingIOError):
            return
        if isinstance(error, ConnectionRefusedError):
            self.refuse()
        else:
            self.end(reason_of(error, Side.BACKEND))
