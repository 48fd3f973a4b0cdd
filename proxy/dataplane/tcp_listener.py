"""TcpListener: one TCP frontend, whether its clients come through a socket of its own or through a shared one.

Invariant: a socket of its own that refuses is not watched, since it would report that without end.
"""

import socket
from socket import SocketType
from typing import Final

from proxy.dataplane.balancer import Balancer
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.lazy_pool import LazyPool
from proxy.dataplane.own_clients import OwnClients
from proxy.dataplane.resources import Resources
from proxy.dataplane.steps import DONE, Steps
from proxy.dataplane.tcp_acceptor import TcpAcceptor
from proxy.dataplane.tcp_relay import RelaySource
from proxy.plan.frontend import Frontend

_WILDCARDS: Final = ("0.0.0.0", "::")


class TcpListener(RelaySource):
    """Its own socket, if any, is bound, listening and non-blocking when it comes, and is closed here."""

    __slots__ = ("_acceptor",)

    def __init__(
        self,
        frontend: Frontend,
        sock: socket.socket | None,
        pool: LazyPool,
        resources: Resources,
        own: OwnClients | None = None,
    ) -> None:
        self._acceptor = None if sock is None else TcpAcceptor(sock, resources, lambda client: self, self._is_crowded)
        self.frontend = frontend
        self.own = own
        self.pool = pool
        self.resources = resources
        self.settle()

    @property
    def balancer(self) -> Balancer:
        """Chooses for the clients of this frontend."""
        return self.pool.built or self.pool.balancer()

    def balancer_of(self, client: str) -> Balancer:
        """Chooses for this client."""
        return self.balancer if self.own is None else self.own.pool_of(client, self.pool).balancer()

    def reconfigure(self, frontend: Frontend, pool: LazyPool, own: OwnClients | None = None) -> Steps:
        """Take a newer version of the frontend; connections that exist are not touched."""
        self.frontend = frontend
        self.own = own
        self.pool = pool
        return self.settle()

    def settle(self) -> Steps:
        """Watch the socket or not, as the pool's state asks: it listens, or it refuses."""
        if self._acceptor is not None:
            self._acceptor.want(self.pool.usable or self.frontend.when_empty == "drop")
        return DONE

    def destination(self, client: SocketType) -> str:
        """The address that the client asked for."""
        address = self.frontend.key.address
        return str(client.getsockname()[0]) if address in _WILDCARDS else address

    def _is_crowded(self) -> bool:
        """Whether every endpoint has as many connections as one endpoint may have where descriptors are scarce."""
        enough = self.resources.descriptors.is_enough
        upstreams = self.balancer.upstreams
        return bool(upstreams) and all(enough(each.open_here) for each in upstreams if each.weight > 0)

    def close(self, reason: CloseReason) -> Steps:
        """Take who waits in the backlog, then stop listening; relays live on, whatever the reason."""
        if self._acceptor is not None:
            yield from self._acceptor.close()
            # It finds this listener for its clients: a cycle, which no collector would ever free (control_link.py).
            self._acceptor = None
