"""SharedReceiving: a few sockets through which the datagrams for many UDP frontends come.

Invariant: a datagram meets the listener of the address and port that it was sent to, or the wildcard of that port, or
nobody.
"""

import socket

from proxy.dataplane.addresses import place_of
from proxy.dataplane.envelope import shared_layout_of
from proxy.dataplane.resources import Resources
from proxy.dataplane.udp_listener import UdpListener
from proxy.dataplane.udp_receiver import UdpReceiver
from proxy.plan.frontend import FrontendKey


class SharedReceiving:
    """Finds the listener of each datagram from its sockets."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._receivers: list[UdpReceiver] = []
        self._listeners: dict[tuple[str, int], UdpListener] = {}

    def receive_from(self, sock: socket.socket) -> None:
        """Take datagrams from this socket too, which is closed here."""
        layout = shared_layout_of(sock.family)
        anywhere = "::" if sock.family == socket.AF_INET6 else "0.0.0.0"

        def find(envelope: bytes) -> UdpListener | None:
            place = layout.place(envelope)
            return self._listeners.get(place) or self._listeners.get((anywhere, place[1]))

        self._receivers.append(UdpReceiver(sock, layout, self._resources, find))

    def add(self, listener: UdpListener) -> None:
        """From now on its datagrams may come."""
        self._listeners[place_of(listener.frontend.key)] = listener
        self._forget()

    def remove(self, key: FrontendKey) -> None:
        """Its datagrams go nowhere."""
        self._listeners.pop(place_of(key), None)
        self._forget()

    def close(self) -> None:
        """Close the sockets."""
        while self._receivers:
            self._receivers.pop().close()

    def _forget(self) -> None:
        for receiver in self._receivers:
            receiver.forget()
