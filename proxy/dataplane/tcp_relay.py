"""TcpRelay: one client connection, from its accept to its end.

It dials an upstream, tries another where one does not answer, and then is two directions. Its states, and what each
event makes of them, are the table in `relay_state.py`. What the client said before the dial goes out as soon as the
handshake is over, and its ACK with it. On this machine that is when connect() returns, which saves an event, a wake-up
and a segment. Invariants: every accepted client ends in exactly one `end`, with one reason; each upstream is tried at
most once and all of them within one budget of time; both sockets are closed with a reset unless both sides had
finished, so that a truncated stream never looks complete. The file is long because it is one class, whose parts share
its state and are called with every connection.
"""

import socket
from errno import ECONNREFUSED, EINPROGRESS
from os import strerror
from socket import SocketType
from struct import pack
from time import monotonic
from typing import Final

from proxy.dataplane.access_log import FlowRecord
from proxy.dataplane.addresses import endpoint_text
from proxy.dataplane.close_reason import CloseReason, Side, reason_of
from proxy.dataplane.direction import SMALL_READ, Direction
from proxy.dataplane.lazy_pool import LazyPool
from proxy.dataplane.own_clients import OwnClients
from proxy.dataplane.reactor import EDGES, EDGES_AND_ROOM, FAILED, READABLE, WRITABLE
from proxy.dataplane.relay_state import RelayEvent, RelayState, after
from proxy.dataplane.resources import Connection, Resources
from proxy.dataplane.upstream import Upstream
from proxy.plan.frontend import Frontend

_DIAL: Final = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
_TCP: Final = socket.IPPROTO_TCP
_QUICKACK: Final = socket.TCP_QUICKACK
_SHUT_WR: Final = socket.SHUT_WR
_DONTWAIT: Final = socket.MSG_DONTWAIT
_SEND: Final = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
_RESET: Final = pack("ii", 1, 0)
_ORDERLY: Final = pack("ii", 0, 0)
# Needed with every connection; a member of an enumeration is a slower constant.
_NO_ENDPOINTS: Final = CloseReason.NO_ENDPOINTS
_CLIENT_CLOSED: Final = CloseReason.CLIENT_CLOSED
_BACKEND_CLOSED: Final = CloseReason.BACKEND_CLOSED
_FAR: Final = 64
"""Where the handshake was not over when connect() returned, so many dials do not expect it to be."""
SHORTEST_ATTEMPT: Final = 0.25
"""Seconds that one upstream is given at least while there are others to try."""

DESCRIPTORS: Final = 2
"""What one relay holds: the client's socket and the backend's."""


# A member of an enumeration is a slower constant.
_ACCEPTED: Final = int(RelayState.ACCEPTED)
_DIALLING: Final = int(RelayState.DIALLING)
_OPEN: Final = int(RelayState.OPEN)
_HALF_CLOSED: Final = int(RelayState.HALF_CLOSED)
_OVER: Final = int(RelayState.OVER)
_ASKED: Final = int(RelayEvent.ASKED)
_ANSWERED: Final = int(RelayEvent.ANSWERED)
_REFUSED: Final = int(RelayEvent.REFUSED)
_FINISHED: Final = int(RelayEvent.FINISHED)
_ENDED: Final = int(RelayEvent.ENDED)

_SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""What accept gives with IPv4, and with IPv6."""


class RelaySource:
    """What a relay asks of the listener that its client came to."""

    __slots__ = ("frontend", "own", "pool", "resources")

    frontend: Frontend
    own: OwnClients | None
    pool: LazyPool
    resources: Resources

    def destination(self, client: SocketType) -> str:
        """The address that the client asked for."""
        raise NotImplementedError


class TcpRelay(Connection):
    """One connection. `client_address` is what accept gave."""

    __slots__ = (
        "_backend",
        "_connected",
        "_downward",
        "_failure",
        "_first",
        "_started",
        "_state",
        "_tried",
        "_upstream",
        "_upward",
        "attempt_deadline",
        "balancer",
        "client",
        "client_address",
        "listener",
    )

    def __init__(self, listener: RelaySource, client: SocketType, client_address: _SocketAddress) -> None:
        self._backend: SocketType | None = None
        pool = listener.pool if listener.own is None else listener.own.pool_of(client_address[0], listener.pool)
        self.balancer = pool.built or pool.balancer()
        self._connected = 0.0
        self._downward: Direction | None = None
        self._upward: Direction | None = None
        self._failure = _NO_ENDPOINTS
        self._first = b""
        self._started = monotonic()
        self._state = _ACCEPTED
        self._tried: tuple[Upstream, ...] = ()
        self._upstream: Upstream | None = None
        self.attempt_deadline = 0.0
        self.client = client
        self.client_address = client_address
        self.listener = listener

    def begin(self) -> None:
        """Take what the client has said already, and dial."""
        try:
            # Nothing is either no byte yet or a FIN, which a later read finds again.
            self._first = self.client.recv(SMALL_READ, _DONTWAIT)
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
            if upstream.may_be_itself and not error_number and _is_itself(backend, upstream):
                error_number = ECONNREFUSED
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
            upstream = self._upstream
            if upstream is not None and upstream.may_be_itself and _is_itself(backend, upstream):
                self._try_another(ECONNREFUSED)
                return
            self._start(backend)
            if mask & READABLE and self._downward is not None:
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
            self._refused(upstream, 0)
            self.end(CloseReason.CONNECT_TIMEOUT)
        else:
            self._failure = CloseReason.CONNECT_TIMEOUT
            self._try_another(0)

    @property
    def state(self) -> RelayState:
        """Where it is in the table."""
        return RelayState(self._state)

    @property
    def used(self) -> float:
        """When it last did something, monotonic seconds."""
        upward, downward = self._upward, self._downward
        return self._started if upward is None or downward is None else max(upward.used, downward.used)

    @property
    def is_limited(self) -> bool:
        """Whether it may be idle for so long only: its pool has an idle limit, or one side has finished."""
        return self._limit() > 0

    def deadline(self) -> float:
        """When it counts as idle."""
        limit = self._limit()
        return self.used + limit if limit else float("inf")

    def keep_alive(self) -> None:
        """Have the kernel ask from time to time whether the backend's machine is still there. The client's socket
        inherits that from its listener. The backend's gets it late: most connections end before and save the calls."""
        options = self.listener.resources.limits.keep_alive
        if self._backend is not None and options is not None:
            options.set_on(self._backend)

    @property
    def carried(self) -> tuple[int, int]:
        """Bytes delivered to the backend, and to the client."""
        upward, downward = self._upward, self._downward
        return (0, 0) if upward is None or downward is None else (upward.carried, downward.carried)

    @property
    def upstream(self) -> Upstream | None:
        """The upstream that it leads to, or that is being dialled."""
        return self._upstream

    @property
    def service(self) -> str:
        """The Service that the client asked for, `namespace/name`."""
        return self.listener.frontend.service

    def opposite(self, direction: Direction) -> Direction | None:
        """The other direction, as long as there are two."""
        return self._downward if direction is self._upward else self._upward

    def half_closed(self, direction: Direction) -> None:
        """The direction's source sent its FIN and all before it is delivered."""
        if direction is self._upward:
            other, reason = self._downward, _CLIENT_CLOSED
        else:
            other, reason = self._upward, _BACKEND_CLOSED
        if other is None or other.has_ended:
            self.end(self._failure)
            return
        self._failure = reason
        self._state = after(self._state, _FINISHED)
        if self.is_limited:
            resources = self.listener.resources
            resources.idle.discard(self)
            resources.idle.add(self)
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
        if self._state == _OVER:
            return
        self._state = after(self._state, _ENDED)
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
        both_ended = upward.has_ended and downward.has_ended
        one_ended = upward.has_ended or downward.has_ended
        if both_ended:
            # It had this from its listener: should this process die, the client would see a reset and no clean end.
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ORDERLY)
        else:
            backend.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        resources.reactor.close_both(self.client, backend)
        started, carried = self._started, (upward.carried, downward.carried)
        resources.accounts.closed(self, upstream, reason, carried, monotonic() - started, self._connected - started)
        upstream.ended(one_ended)
        resources.idle.discard(self)
        resources.young.pop(self, None)
        upward.stop()
        downward.stop()
        # Break the circle of references, so that memory returns now and not with a garbage collection.
        self._upward = self._downward = None

    def _end_undialled(self, resources: Resources, reason: CloseReason) -> None:
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        resources.reactor.close(self.client)
        if self._backend is not None:
            self._backend.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            resources.reactor.close(self._backend)
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
        self._state = after(self._state, _ASKED)
        assert self._backend is not None
        resources.reactor.watch(self._backend.fileno(), self, EDGES_AND_ROOM)

    def _limit(self) -> float:
        """For how many seconds it may be idle; 0 for ever."""
        limit = self.balancer.pool.idle_timeout if self._connected else 0.0
        half_closed = self.listener.resources.limits.half_closed_timeout if self._state == _HALF_CLOSED else 0.0
        return min(limit, half_closed) if limit and half_closed else limit or half_closed

    def _start(self, backend: SocketType) -> None:
        """The backend took the connection: from here on bytes flow both ways."""
        resources = self.listener.resources
        del resources.dialling[self]
        self._connected = monotonic()
        upward, downward = self._join(backend)
        resources.reactor.handlers[backend.fileno()] = downward
        first, self._first = self._first, b""
        # A request that is there already is sent now; registering the client reports whatever comes later.
        upward.begin(first, 0, told_of_room=True)
        if self._state != _OVER:
            resources.reactor.watch(self.client.fileno(), upward)

    def _start_at_once(self, backend: SocketType, sent: int) -> None:
        """The same where connect() found the backend so near that it could take `sent` of the first bytes."""
        reactor = self.listener.resources.reactor
        self._connected = self._started
        upward, downward = self._join(backend)
        first, self._first = self._first, b""
        is_partial = sent < len(first)
        reactor.watch(backend.fileno(), downward, EDGES_AND_ROOM if is_partial else EDGES)
        upward.begin(first, sent, told_of_room=is_partial)
        if self._state != _OVER:
            reactor.watch(self.client.fileno(), upward)

    def _join(self, backend: SocketType) -> tuple[Direction, Direction]:
        """The two directions, upward and downward."""
        assert self._upstream is not None
        balancer, upstream = self.balancer, self._upstream
        balancer.opened(upstream)
        if upstream.failures:
            balancer.forgive(upstream)
        self._state = after(self._state, _ANSWERED)
        resources = self.listener.resources
        reactor, pipes, buffers = resources.reactor, resources.pipes, resources.buffers
        self._upward = upward = Direction(self, reactor, pipes, buffers, self.client, backend, True)
        self._downward = downward = Direction(self, reactor, pipes, buffers, backend, self.client, False)
        if resources.limits.keep_alive is not None:
            resources.young[self] = self._connected
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
        self._state = after(self._state, _REFUSED)
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
        # Where none took it, the last that refused.
        upstream = self._upstream or next(reversed(self._tried), None)
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


def _is_itself(sock: SocketType, upstream: Upstream) -> bool:
    """Whether the socket is connected to itself, which happens where nobody listens on a port that the kernel gives to
    clients, and gives to this one (RFC 9293, section 3.5: simultaneous open)."""
    own = sock.getsockname()
    return bool(own[1] == upstream.port and own == sock.getpeername())
