"""TcpAcceptor: takes clients from one listening socket.

The control process makes the socket listen, refuse or ignore clients; what is done here is to
accept. Invariant: without descriptors nothing is accepted and nothing spins: the clients wait in the backlog.
"""

import errno
import logging
import socket
from collections.abc import Callable
from socket import SocketType
from struct import pack
from typing import Final

from proxy.dataplane.flow_eviction import make_room_for_streams
from proxy.dataplane.reactor import LEVEL
from proxy.dataplane.resources import Resources
from proxy.dataplane.steps import Steps
from proxy.dataplane.tcp_relay import DESCRIPTORS, RelaySource, TcpRelay

_STREAM: Final = socket.SOCK_STREAM
BACKLOG: Final = 4096
_MOST_ACCEPTS: Final = 64
_WAITING_PER_STEP: Final = 8
"""A client that is taken and dialled costs some 40 microseconds."""
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_RESET: Final = pack("ii", 1, 0)

_log = logging.getLogger(__name__)


class TcpAcceptor:
    """The socket is bound, listening and non-blocking when it comes, and is closed here. `listener_of` gives the
    listener whose client this is, or None for one that nobody wants any more. `is_crowded` is asked where descriptors
    are scarce: whether all endpoints that its clients may get have enough of them."""

    __slots__ = (
        "_burst",
        "_closed",
        "_family",
        "_is_crowded",
        "_listener_of",
        "_paused",
        "_resources",
        "_socket",
        "_wanted",
        "_watched",
    )

    def __init__(
        self,
        sock: socket.socket,
        resources: Resources,
        listener_of: Callable[[SocketType], RelaySource | None],
        is_crowded: Callable[[], bool],
    ) -> None:
        self._socket = sock
        # A property that makes a member of an enumeration each time.
        self._family = sock.family
        self._resources = resources
        self._listener_of = listener_of
        self._is_crowded = is_crowded
        self._burst = 1
        self._paused = False
        self._closed = False
        self._wanted = False
        self._watched = False
        resources.descriptors.listen("TCP")
        # Inherited by every client's socket. A reset is what a client sees if this process dies: a clean end would make
        # a truncated stream look complete. The relay takes that back at an orderly end.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        if resources.limits.keep_alive is not None:
            resources.limits.keep_alive.set_on(sock)

    def want(self, wanted: bool) -> None:
        """Take clients from now on, or leave the socket alone: one that refuses would report that without end."""
        self._wanted = wanted
        if self._paused:
            return
        if wanted:
            self._watch()
        else:
            self._unwatch()

    def ready(self, mask: int) -> None:
        """Clients are waiting. The burst adapts, so that a lone client costs no second accept that finds nobody and a
        crowd is taken in few turns."""
        burst = self._burst
        accepted = self._accept(burst)
        self._burst = min(_MOST_ACCEPTS, burst * 2) if accepted == burst else max(1, accepted)

    def _accept(self, most: int) -> int:
        """Take clients, at most so many; gives how many were there and could be taken. Measured hot path."""
        # The C-level accept: a descriptor and an address, without the layers of Python that build a socket twice.
        accept = self._socket._accept  # type: ignore[attr-defined]
        family, resources, listener_of = self._family, self._resources, self._listener_of
        descriptors = resources.descriptors
        doomed = resources.reactor.doomed
        for accepted in range(most):
            if doomed and descriptors.free < doomed + DESCRIPTORS:
                # What counts as free is not closed yet: the next batch tells of these clients again.
                return accepted
            if descriptors.free < descriptors.scarcity and self._is_crowded():
                self._pause()
                return accepted
            # A pipe that nobody uses is worth less than a client, and so is a flow.
            if descriptors.free < DESCRIPTORS + descriptors.kept_for_flows and not make_room_for_streams(
                resources, DESCRIPTORS
            ):
                self._pause()
                return accepted
            try:
                descriptor, address = accept()
            except OSError as error:
                self._not_accepted(error)
                return accepted
            client = SocketType(family, _STREAM, 0, descriptor)
            listener = listener_of(client)
            if listener is None:
                self._turn_away(client)
                continue
            try:
                # It needs the pool, which may be impossible to build.
                relay = TcpRelay(listener, client, address)
            except Exception:
                self._turn_away(client)
                raise
            descriptors.occupy(DESCRIPTORS)
            resources.relays[relay] = None
            try:
                relay.begin()
            except Exception:
                relay.crashed()
                raise
        return most

    def crashed(self) -> None:
        """A defect while accepting costs that one client; the acceptor goes on."""

    def take_waiting(self) -> Steps:
        """Take everybody who is in the backlog."""
        reactor = self._resources.reactor
        for _ in range(BACKLOG // _WAITING_PER_STEP):
            if not self._wanted or self._paused:
                return
            # While sockets wait to be closed, clients wait for their descriptors.
            if self._accept(_WAITING_PER_STEP) < _WAITING_PER_STEP and not reactor.doomed:
                return
            yield

    def close(self) -> Steps:
        """Take who waits in the backlog, then stop; relays live on."""
        yield from self.take_waiting()
        self._closed = True
        self._unwatch()
        self._socket.close()
        self._resources.descriptors.stop_listening("TCP")

    def _turn_away(self, client: SocketType) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        client.close()

    def _not_accepted(self, error: OSError) -> None:
        if error.errno in _EXHAUSTED:
            self._pause()
        elif error.errno == errno.EINVAL:
            # It refuses by now, and the message that says so is on its way.
            self._unwatch()
        elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
            _log.warning("accept failed on %s: %s", self._socket.getsockname(), error)

    def _pause(self) -> None:
        """Out of descriptors: leave clients in the backlog until some return."""
        if not self._paused:
            self._paused = True
            self._resources.descriptors.report_exhaustion(self._resources.reactor.now)
            self._unwatch()
            self._resources.descriptors.wait(self._resume)

    def _resume(self) -> None:
        self._paused = False
        if not self._closed and self._wanted:
            self._watch()

    def _watch(self) -> None:
        if not self._watched:
            self._watched = True
            self._resources.reactor.watch(self._socket.fileno(), self, LEVEL)

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = False
            self._resources.reactor.unwatch(self._socket.fileno())
