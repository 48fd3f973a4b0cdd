"""UdpFlow: the datagrams of one client address with one upstream, until they pause for long enough.

Imports this room. Invariant: a flow holds one connected socket, so that replies and ICMP refusals of its upstream,
and of nobody else, come back to its client; it ends once, with one reason.
"""

from socket import MSG_DONTWAIT, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SocketType
from time import monotonic
from typing import TYPE_CHECKING, Any

from proxy.dataplane.access_log import FlowRecord
from proxy.dataplane.addresses import endpoint_text
from proxy.dataplane.balancer import Balancer
from proxy.dataplane.close_reason import CloseReason, Side, reason_of
from proxy.dataplane.packet_info import Ancillary
from proxy.dataplane.reactor import LEVEL
from proxy.dataplane.upstream import Upstream

if TYPE_CHECKING:
    from proxy.dataplane.udp_listener import UdpListener

_DATAGRAM = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC
_MOST_REPLIES = 32


class UdpFlow:
    """`client` is the address recvfrom gave; `reply` the ancillary data that makes replies leave from the address
    the client asked, empty on a socket that is bound to one; `key` is the flow's place in its listener."""

    __slots__ = (
        "_burst",
        "_connected",
        "_received",
        "_sent",
        "_socket",
        "_started",
        "balancer",
        "client",
        "key",
        "listener",
        "over",
        "reply",
        "upstream",
        "used",
    )

    def __init__(
        self,
        listener: "UdpListener",
        key: object,
        client: Any,
        reply: Ancillary,
        balancer: Balancer,
        upstream: Upstream,
    ) -> None:
        self.listener = listener
        self.key = key
        self.client = client
        self.reply = reply
        self.upstream = upstream
        self.over = False
        self.balancer = balancer
        self._burst = 1
        self._connected = 0.0
        self._received = self._sent = 0
        self._started = self.used = monotonic()
        self._socket = SocketType(upstream.family, _DATAGRAM)

    def open(self) -> None:
        """Connect the socket and watch it. Raises OSError where there is no way to the upstream."""
        try:
            self._socket.connect(self.upstream.sockaddr)
        except OSError:
            self._socket.close()
            raise
        self.listener.resources.reactor.watch(self._socket.fileno(), self, LEVEL)

    def forward(self, datagram: memoryview) -> None:
        """Send one datagram of the client to the upstream. Raises ConnectionRefusedError where an earlier one was
        refused and this one was not sent."""
        self.used = self.listener.resources.reactor.now
        try:
            self._received += self._socket.send(datagram)
        except BlockingIOError:
            # A full queue loses datagrams, as a full queue anywhere on the way would.
            return
        except ConnectionRefusedError:
            raise
        except OSError as error:
            self.end(reason_of(error, Side.BACKEND))

    def ready(self, mask: int) -> None:
        """The upstream has replied, or refused."""
        resources = self.listener.resources
        reactor = resources.reactor
        receive, view = self._socket.recv_into, reactor.view
        for replies in range(self._burst):
            try:
                size = receive(reactor.buffer, 0, MSG_DONTWAIT)
            except BlockingIOError:
                self._burst = max(1, replies)
                return
            except ConnectionRefusedError:
                self.refuse()
                return
            except OSError as error:
                self.end(reason_of(error, Side.BACKEND))
                return
            if not self._connected:
                self._connected = monotonic()
                self.balancer.connected(self.upstream)
            self.used = reactor.now
            self._sent += size
            self.listener.reply(view[:size], self)
        self._burst = min(_MOST_REPLIES, self._burst * 2)

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
        resources.accounts.closed(self, self.upstream, reason, monotonic() - self._started)
        self.upstream.ended()
        self.listener.flows.pop(self.key, None)
        resources.flows.discard(self)
        resources.reactor.close(self._socket)
        resources.descriptors.give(1)
        if resources.access_log is not None:
            resources.access_log.write(self.record(), reason)

    @property
    def carried(self) -> tuple[int, int]:
        """Bytes sent to the upstream, and to the client."""
        return self._received, self._sent

    def record(self) -> FlowRecord:
        """What this flow has come to so far."""
        key = self.listener.frontend.key
        return FlowRecord(
            client=endpoint_text(self.client[0], self.client[1]),
            service=self.listener.frontend.service,
            frontend=f"{endpoint_text(key.address, key.port)}/{key.protocol}",
            endpoint=str(self.upstream),
            pod=self.upstream.pod,
            received=self._received,
            sent=self._sent,
            connect_seconds=self._connected - self._started if self._connected else -1.0,
            seconds=monotonic() - self._started,
        )
