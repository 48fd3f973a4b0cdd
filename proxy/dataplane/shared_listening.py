"""SharedListening: a few sockets through which the clients of many TCP frontends come.

Where the kernel is told by a program of type sk_lookup whose clients are whose, one listening socket
serves any number of addresses, and the accepted socket's own address says which one was asked. Invariant: a client
meets the frontend that it asked for, the one of its address before the wildcard of its port, or nobody.
"""

import socket
from socket import SocketType

from proxy.dataplane.addresses import place_of
from proxy.dataplane.resources import Resources
from proxy.dataplane.steps import Steps
from proxy.dataplane.tcp_acceptor import TcpAcceptor
from proxy.dataplane.tcp_listener import TcpListener
from proxy.plan.frontend import FrontendKey


class SharedListening:
    """Finds the listener of each client that is accepted from its sockets."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._acceptors: list[TcpAcceptor] = []
        self._listeners: dict[tuple[str, int], TcpListener] = {}

    def accept_from(self, sock: socket.socket) -> None:
        """Take clients from this listening socket too, which is closed here."""
        find = self._find_ipv6 if sock.family == socket.AF_INET6 else self._find_ipv4
        acceptor = TcpAcceptor(sock, self._resources, find, lambda: False)
        acceptor.want(True)
        self._acceptors.append(acceptor)

    def add(self, listener: TcpListener) -> None:
        """From now on its clients may come."""
        self._listeners[place_of(listener.frontend.key)] = listener

    def take_waiting(self) -> Steps:
        """Take who waits in the backlogs, before a listener that they asked for goes."""
        for acceptor in tuple(self._acceptors):
            yield from acceptor.take_waiting()

    def remove(self, key: FrontendKey) -> None:
        """Turn its clients away; `take_waiting` came before."""
        self._listeners.pop(place_of(key), None)

    def close(self) -> Steps:
        """Take who waits in the backlogs, then close the sockets."""
        while self._acceptors:
            yield from self._acceptors.pop().close()

    def _find_ipv4(self, client: SocketType) -> TcpListener | None:
        try:
            place = client.getsockname()
        except OSError:
            return None
        return self._listeners.get(place) or self._listeners.get(("0.0.0.0", place[1]))

    def _find_ipv6(self, client: SocketType) -> TcpListener | None:
        try:
            address, port = client.getsockname()[:2]
        except OSError:
            return None
        return self._listeners.get((address, port)) or self._listeners.get(("::", port))
