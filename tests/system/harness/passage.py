"""A Service whose backend is a plain listening socket of the test, which so holds both ends of each connection.

Invariant: `open` gives the two ends of the same connection; all of them are closed with the passage.
"""

import socket
from contextlib import ExitStack
from typing import Self

from tests.system.harness.clients import TIMEOUT, connect
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.places import Places

BACKEND_PORT = 7007


class Passage:
    """`manifests` are of a Service `passage`, which listens on `address`, `port`."""

    def __init__(self, places: Places) -> None:
        self.address, self.port = "127.0.0.1", places.node_port()
        self.backend_address = places.address()
        self._stack = ExitStack()
        self._server = self._stack.enter_context(socket.create_server((self.backend_address, BACKEND_PORT)))
        self._server.settimeout(TIMEOUT)

    @property
    def manifests(self) -> list[Manifest]:
        return [
            service("passage", port(80, nodePort=self.port), type="NodePort"),
            endpoint_slice("passage", [self.backend_address], {"port": BACKEND_PORT}),
        ]

    def open(self) -> tuple[socket.socket, socket.socket]:
        """A new connection: the client's end and the backend's."""
        client = self._stack.enter_context(connect(self.address, self.port))
        return client, self.accept()

    def accept(self) -> socket.socket:
        """The backend's end of the connection that waits for longest."""
        backend, _ = self._server.accept()
        backend.settimeout(TIMEOUT)
        return self._stack.enter_context(backend)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
