"""TcpListener: one listening socket of a TCP frontend.

Imports this room. The control process makes the socket listen, refuse or ignore clients; what is done here is to
accept. Invariants: a socket that refuses is not watched, since it would report that without end; without descriptors
nothing is accepted and nothing spins: the clients wait in the backlog.
"""

import errno
import logging
import socket
from socket import SocketType

from proxy.dataplane.balancer import Balancer
from proxy.dataplane.lazy_pool import LazyPool
from proxy.dataplane.reactor import LEVEL
from proxy.dataplane.resources import Resources
from proxy.dataplane.tcp_relay import DESCRIPTORS, TcpRelay
from proxy.plan.frontend import Frontend

BACKLOG = 4096
_MOST_ACCEPTS = 64
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_log = logging.getLogger(__name__)


class TcpListener:
    """Accepts for one frontend. The socket is bound, listening and non-blocking when it comes, and is closed here."""

    def __init__(self, frontend: Frontend, sock: socket.socket, pool: LazyPool, resources: Resources) -> None:
        self._socket = sock
        self._burst = 1
        self._paused = False
        self._closed = False
        self._watched = False
        self.frontend = frontend
        self.pool = pool
        self.resources = resources
        resources.descriptors.occupy(1)
        self.settle()

    @property
    def balancer(self) -> Balancer:
        """Chooses for the clients of this frontend."""
        return self.pool.built or self.pool.balancer()

    def reconfigure(self, frontend: Frontend, pool: LazyPool) -> None:
        """Take a newer version of the frontend; connections that exist are not touched."""
        self.frontend = frontend
        self.pool = pool
        self.settle()

    def settle(self) -> None:
        """Watch the socket or not, as the pool's state asks: it listens, or it refuses."""
        if self._paused:
            return
        if self.pool.usable or self.frontend.when_empty == "drop":
            self._watch()
        else:
            self._unwatch()

    def destination(self, client: SocketType) -> str:
        """The address that the client asked for, as far as the scheduler needs to know."""
        address = self.frontend.key.address
        if self.balancer.by_destination and address in ("0.0.0.0", "::"):
            return str(client.getsockname()[0])
        return address

    def ready(self, mask: int) -> None:
        """Clients are waiting. The burst adapts, so that a lone client costs no second accept that finds nobody and a
        crowd is taken in few turns."""
        # The C-level accept: a descriptor and an address, without the layers of Python that build a socket twice.
        accept = self._socket._accept  # type: ignore[attr-defined]
        family, resources = self._socket.family, self.resources
        for accepted in range(self._burst):
            if not resources.descriptors.take(DESCRIPTORS):
                # A pipe that nobody uses is worth less than a client.
                resources.pipes.close()
                if not resources.descriptors.take(DESCRIPTORS):
                    self._pause()
                    return
            try:
                descriptor, address = accept()
            except OSError as error:
                resources.descriptors.put_back(DESCRIPTORS)
                self._burst = max(1, accepted)
                self._not_accepted(error)
                return
            relay = TcpRelay(self, SocketType(family, socket.SOCK_STREAM, 0, descriptor), address)
            resources.relays[relay] = None
            try:
                relay.dial()
            except Exception:
                relay.crashed()
                raise
        self._burst = min(_MOST_ACCEPTS, self._burst * 2)

    def crashed(self) -> None:
        """A defect while accepting costs that one client; the listener goes on."""

    def close(self) -> None:
        """Take who waits in the backlog, then stop listening; relays live on."""
        if self.pool.usable and not self._paused:
            self._burst = BACKLOG
            self.ready(LEVEL)
        self._closed = True
        self._unwatch()
        self._socket.close()
        self.resources.descriptors.give(1)

    def _not_accepted(self, error: OSError) -> None:
        if error.errno in _EXHAUSTED:
            self._pause()
        elif error.errno == errno.EINVAL:
            # It refuses by now, and the message that says so is on its way.
            self._unwatch()
        elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
            _log.warning("accept failed on %s: %s", self.frontend.key, error)

    def _pause(self) -> None:
        """Out of descriptors: leave clients in the backlog until some return."""
        if not self._paused:
            self._paused = True
            self.resources.descriptors.report_exhaustion(self.resources.reactor.now)
            self._unwatch()
            self.resources.descriptors.wait(self._resume)

    def _resume(self) -> None:
        self._paused = False
        if not self._closed:
            self.settle()

    def _watch(self) -> None:
        if not self._watched:
            self._watched = True
            self.resources.reactor.watch(self._socket.fileno(), self, LEVEL)

    def _unwatch(self) -> None:
        if self._watched:
            self._watched = False
            self.resources.reactor.unwatch(self._socket.fileno())
