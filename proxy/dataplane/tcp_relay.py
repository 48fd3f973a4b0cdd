"""TcpRelay: one client connection, from its accept to its end.

Imports this room. It dials an upstream, tries another where one does not answer, and then is two directions. What the
client said before the dial goes out as soon as the handshake is over, and its ACK with it: on this machine that is when
connect() returns, and saves an event, a wake-up and a segment.
Invariants: every accepted client ends in exactly one `end`, with one reason; each upstream is tried at most once and
all of them within one budget of time; a reset on one side becomes a reset on the other, so that a truncated stream
never looks complete.
"""

import socket
from errno import EINPROGRESS
from os import strerror
from socket import SocketType
from struct import pack
from time import monotonic
from typing import TYPE_CHECKING, Final

from proxy.dataplane.access_log import FlowRecord
from proxy.dataplane.addresses import endpoint_text
from proxy.dataplane.close_reason import CloseReason, Side, reason_of
from proxy.dataplane.direction import Direction
from proxy.dataplane.reactor import EDGES_AND_ROOM, FAILED, READABLE, WRITABLE
from proxy.dataplane.resources import Resources
from proxy.dataplane.upstream import Upstream

if TYPE_CHECKING:
    from proxy.dataplane.tcp_listener import TcpListener

_DIAL: Final = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_TCP: Final = socket.IPPROTO_TCP
_QUICKACK: Final = socket.TCP_QUICKACK
_SHUT_WR: Final = socket.SHUT_WR
_DONTWAIT: Final = socket.MSG_DONTWAIT
_SEND: Final = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
_RESET: Final = pack("ii", 1, 0)
# Needed with every connection; a member of an enumeration is a slower constant.
_NO_ENDPOINTS: Final = CloseReason.NO_ENDPOINTS
_CLIENT_CLOSED: Final = CloseReason.CLIENT_CLOSED
_BACKEND_CLOSED: Final = CloseReason.BACKEND_CLOSED
_FIRST_READ: Final = 16 * 1024
"""Bytes that are taken from a client before there is a backend to send them to."""
_FAR: Final = 64
"""Where the handshake was not over when connect() returned, so many dials do not expect it to be."""
SHORTEST_ATTEMPT: Final = 0.25
"""Seconds that one upstream is given at least while there are others to try."""

DESCRIPTORS: Final = 2
"""What one relay holds: the client's socket and the backend's."""


_SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""What accept gives with IPv4, and with IPv6."""


class TcpRelay:
    """One connection. `client_address` is what accept gave, `used` when it last did something, monotonic seconds."""

    __slots__ = (
        "_backend",
        "_connected",
        "_downward",
        "_failure",
        "_first",
        "_started",
        "_tried",
        "_upstream",
        "_upward",
        "attempt_deadline",
        "balancer",
        "client",
        "client_address",
        "listener",
        "over",
        "used",
    )

    def __init__(self, listener: "TcpListener", client: SocketType, client_address: _SocketAddress) -> None:
        self._backend: SocketType | None = None
        self.balancer = listener.pool.built or listener.pool.balancer()
        self._connected = 0.0
        self._downward: Direction | None = None
        self._upward: Direction | None = None
        self._failure = _NO_ENDPOINTS
        self._first = b""
        self._started = self.used = monotonic()
        self._tried: tuple[Upstream, ...] = ()
        self._upstream: Upstream | None = None
        self.attempt_deadline = 0.0
        self.client = client
        self.client_address = client_address
        self.listener = listener
        self.over = False

    def begin(self) -> None:
        """Take what the client has said already, and dial."""
        try:
            # Nothing is either no byte yet or a FIN, which a later read finds again.
            self._first = self.client.recv(_FIRST_READ, _DONTWAIT)
        except BlockingIOError:
            self._first = b""
        except OSError as error:
            self.end(reason_of(error, Side.CLIENT))
            return
        self.dial()

    def dial(self) -> None:
        """Start to connect to an upstream that was not tried yet, or end where there is none."""
        host = self.client_address[0]
        balancer, first = self.balancer, self._first
        destination = self.listener.destination(self.client) if balancer.by_destination else ""
        now = monotonic() if self._tried else self._started
        while (upstream := balancer.choose(host, destination, now, self._tried)) is not None:
            self._upstream = upstream
            if self.listener.resources.descriptors.is_enough(upstream.open_here - 1, DESCRIPTORS):
                self._forget_upstream(upstream)
                self._tried = (*self._tried, upstream)
                self._failure = CloseReason.DESCRIPTOR_LIMIT
                continue
            try:
                backend = SocketType(upstream.family, _DIAL)
            except OSError as error:
                self._forget_upstream(upstream)
                self.end(reason_of(error, Side.CONNECT))
                return
            if first:
                # The first bytes carry the handshake's last ACK, which otherwise is a segment of its own.
                backend.setsockopt(_TCP, _QUICKACK, 0)
            error_number, sent = backend.connect_ex(upstream.sockaddr), 0
            if error_number in (0, EINPROGRESS):
                error_number = 0
                if first:
                    if upstream.far:
                        upstream.far -= 1
                    else:
                        try:
                            sent = backend.send(first, _SEND)
                        except BlockingIOError:
                            upstream.far = _FAR
                        except OSError as error:
                            error_number = error.errno or 0
                if not error_number:
                    self._backend = backend
                    if sent:
                        self._start_at_once(backend, sent)
                    else:
                        self._await(len(balancer.upstreams) <= len(self._tried) + 1)
                    return
            backend.close()
            self._refused(upstream, error_number)
        self.end(self._failure)

    def ready(self, mask: int) -> None:
        """Events of the backend's socket while it is being dialled."""
        backend = self._backend
        assert backend is not None
        if mask & FAILED:
            error_number = backend.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error_number:
                self._try_another(error_number)
                return
        if mask & WRITABLE:
            self._start(backend)
            if mask & READABLE and not self.over and self._downward is not None:
                # A server that speaks first may have done so in the same event.
                self._downward.ready(mask)

    def crashed(self) -> None:
        """A defect in a handler: end this relay alone."""
        self.end(CloseReason.ERROR)

    def attempt_overdue(self, now: float) -> None:
        """The upstream did not answer in the time it was given."""
        upstream = self._upstream
        assert upstream is not None
        if now >= self._started + self.balancer.pool.connect_timeout:
            self._abandon_attempt()
            self.balancer.refused(upstream, self.client_address[0], now)
            self._upstream = None
            self.end(CloseReason.CONNECT_TIMEOUT)
        else:
            self._failure = CloseReason.CONNECT_TIMEOUT
            self._try_another(0)

    @property
    def is_limited(self) -> bool:
        """Whether it may be idle for so long only: it is connected, and its pool has an idle limit."""
        return self._connected > 0 and self.balancer.pool.idle_timeout > 0

    def deadline(self) -> float:
        """When it counts as idle."""
        limit = self.balancer.pool.idle_timeout
        return self.used + limit if limit else float("inf")

    @property
    def carried(self) -> tuple[int, int]:
        """Bytes delivered to the backend, and to the client."""
        upward, downward = self._upward, self._downward
        return (0, 0) if upward is None or downward is None else (upward.carried, downward.carried)

    @property
    def upstream(self) -> Upstream | None:
        """The upstream that it leads to, or that is being dialled."""
        return self._upstream

    def opposite(self, direction: Direction) -> Direction | None:
        """The other direction, as long as there are two."""
        return self._downward if direction is self._upward else self._upward

    def half_closed(self, direction: Direction) -> None:
        """The direction's source sent its FIN and all before it is delivered."""
        if direction is self._upward:
            other, reason = self._downward, _CLIENT_CLOSED
        else:
            other, reason = self._upward, _BACKEND_CLOSED
        if other is None or other.ended:
            self.end(self._failure)
            return
        self._failure = reason
        if self._upstream is not None:
            self._upstream.half_closed()
        try:
            direction.target.shutdown(_SHUT_WR)
        except OSError as error:
            self.failed(error, direction.target)

    def failed(self, error: OSError, sock: SocketType) -> None:
        """An operation on one side's socket failed for good: the other side learns it as a reset."""
        self.end(reason_of(error, Side.CLIENT if sock is self.client else Side.BACKEND))

    def broken(self, sock: SocketType) -> None:
        """The socket reported an error while bytes are held back; find out which, if there is one."""
        error_number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error_number:
            self.failed(OSError(error_number, strerror(error_number)), sock)

    def end(self, reason: CloseReason) -> None:
        """Close both sides, with a reset unless both had finished, and account for it. Safe to call twice."""
        if self.over:
            return
        self.over = True
        resources = self.listener.resources
        if resources.access_log is not None and resources.access_log.wants(reason):
            resources.access_log.write(self.record(), reason)
        upward, downward = self._upward, self._downward
        if upward is None or downward is None:
            self._end_undialled(resources, reason)
        else:
            self._end_connected(resources, reason, upward, downward)
        resources.descriptors.give(DESCRIPTORS)
        del resources.relays[self]
        if not resources.relays and resources.on_empty is not None:
            resources.on_empty()

    def _end_connected(self, resources: Resources, reason: CloseReason, upward: Direction, downward: Direction) -> None:
        backend, upstream = self._backend, self._upstream
        assert backend is not None
        assert upstream is not None
        if not (upward.ended and downward.ended):
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            backend.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        resources.reactor.close_both(self.client, backend)
        started, carried = self._started, (upward.carried, downward.carried)
        resources.accounts.closed(self, upstream, reason, carried, monotonic() - started, self._connected - started)
        upstream.ended(upward.ended or downward.ended)
        resources.idle.discard(self)
        # Break the circle of references, so that memory returns now and not with a garbage collection.
        if upward.pipe is not None:
            upward.leave_pipe()
        if downward.pipe is not None:
            downward.leave_pipe()
        self._upward = self._downward = None

    def _end_undialled(self, resources: Resources, reason: CloseReason) -> None:
        for sock in (self.client, self._backend):
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                resources.reactor.close(sock)
        resources.accounts.failed(self.balancer, reason)
        if self._upstream is not None:
            self._upstream.ended()
        resources.dialling.pop(self, None)

    def _await(self, last: bool) -> None:
        """Wait for the backend's answer: to the end of the budget where there is no other upstream to try."""
        now = monotonic()
        budget = self._started + self.balancer.pool.connect_timeout
        self.attempt_deadline = budget if last else min(budget, now + max(SHORTEST_ATTEMPT, (budget - now) / 2))
        resources = self.listener.resources
        resources.dialling[self] = None
        assert self._backend is not None
        resources.reactor.watch(self._backend.fileno(), self, EDGES_AND_ROOM)

    def _start(self, backend: SocketType) -> None:
        """The backend took the connection: from here on bytes flow both ways."""
        resources = self.listener.resources
        del resources.dialling[self]
        self._connected = monotonic()
        upward, downward = self._join(backend)
        upward.told_of_room = True
        resources.reactor.handlers[backend.fileno()] = downward
        first, self._first = self._first, b""
        # A request that is there already is sent now; registering the client reports whatever comes later.
        if not first:
            upward.pump(0)
        else:
            upward.held = first
            if upward.deliver() and len(first) == _FIRST_READ:
                upward.pump()
        if not self.over:
            resources.reactor.watch(self.client.fileno(), upward)

    def _start_at_once(self, backend: SocketType, sent: int) -> None:
        """The same where connect() found the backend so near that it could take `sent` of the first bytes."""
        reactor = self.listener.resources.reactor
        self._connected = self._started
        upward, downward = self._join(backend)
        first, self._first = self._first, b""
        upward.carried = sent
        if sent < len(first):
            upward.held = first[sent:]
            upward.told_of_room = True
            reactor.watch(backend.fileno(), downward, EDGES_AND_ROOM)
        else:
            reactor.watch(backend.fileno(), downward)
            if sent == _FIRST_READ:
                upward.pump()
                if self.over:
                    return
        reactor.watch(self.client.fileno(), upward)

    def _join(self, backend: SocketType) -> tuple[Direction, Direction]:
        """The two directions, upward and downward."""
        assert self._upstream is not None
        balancer, upstream = self.balancer, self._upstream
        balancer.opened(upstream)
        if upstream.failures:
            balancer.forgive(upstream)
        resources = self.listener.resources
        self._upward = upward = Direction(self, resources.reactor, self.client, backend, True)
        self._downward = downward = Direction(self, resources.reactor, backend, self.client, False)
        if balancer.pool.idle_timeout:
            resources.idle.add(self)
        return upward, downward

    def _try_another(self, error_number: int) -> None:
        upstream = self._upstream
        assert upstream is not None
        self._abandon_attempt()
        self._refused(upstream, error_number)
        self.dial()

    def _abandon_attempt(self) -> None:
        resources = self.listener.resources
        resources.dialling.pop(self, None)
        if self._backend is not None:
            resources.reactor.close(self._backend)
            self._backend = None

    def _refused(self, upstream: Upstream, error_number: int) -> None:
        self.balancer.refused(upstream, self.client_address[0], monotonic())
        self._upstream = None
        self._tried = (*self._tried, upstream)
        if error_number:
            self._failure = reason_of(OSError(error_number, strerror(error_number)), Side.CONNECT)

    def _forget_upstream(self, upstream: Upstream) -> None:
        """The choice came to nothing for a reason of our own: it is not the upstream's failure."""
        upstream.ended()
        self._upstream = None

    def record(self) -> FlowRecord:
        """What this connection has come to so far."""
        now = monotonic()
        upstream = self._upstream
        key = self.listener.frontend.key
        return FlowRecord(
            client=endpoint_text(self.client_address[0], self.client_address[1]),
            service=self.listener.frontend.service,
            frontend=f"{endpoint_text(key.address, key.port)}/{key.protocol}",
            endpoint=str(upstream) if upstream is not None else "",
            pod=upstream.pod if upstream is not None else "",
            received=self._upward.carried if self._upward is not None else 0,
            sent=self._downward.carried if self._downward is not None else 0,
            connect_seconds=self._connected - self._started if self._connected else -1.0,
            seconds=now - self._started,
        )
