"""Backends for tests, in threads of the test's process: each answers with its own name.

Invariant: `close` ends every connection and thread of a backend, and frees its port.
"""

import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from tests.system.harness.places import Places


class Backend:
    """A server with an `address`, a `port` and a `name`; `connections` counts what it accepted."""

    def __init__(self, server: "_StreamServer | _DatagramServer") -> None:
        self.name = server.name
        self.address, self.port = server.place
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, args=(0.02,), name=f"backend {server.name}", daemon=True
        )
        self._thread.start()

    @property
    def connections(self) -> int:
        assert isinstance(self._server, _StreamServer)
        return self._server.accepted

    def close(self) -> None:
        """Stop listening, and cut what is connected."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def http_backend(name: str, address: str, port: int = 8080) -> Backend:
    """Answers every GET with its name and a newline; keeps connections alive."""
    return Backend(_StreamServer((address, port), _NameOverHTTP, name))


def echo_backend(name: str, address: str, port: int = 7007) -> Backend:
    """Greets with its name and a newline, then gives back what comes, until the client's end of stream."""
    return Backend(_StreamServer((address, port), _GreetAndEcho, name))


def plain_echo_backend(name: str, address: str, port: int = 7007) -> Backend:
    """Gives back what comes, until the client's end of stream."""
    return Backend(_StreamServer((address, port), _Echo, name))


def udp_backend(name: str, address: str, port: int = 7007) -> Backend:
    """Answers each datagram with `NAME:` and the datagram."""
    return Backend(_DatagramServer((address, port), _EchoDatagram, name))


class StartBackends:
    """`start("a", "b")` starts two backends of one kind, each on an address of its own; the stack ends them."""

    def __init__(self, open_backend: Callable[[str, str], Backend], places: Places, stack: ExitStack) -> None:
        self._open_backend = open_backend
        self._places = places
        self._stack = stack

    def __call__(self, *names: str) -> list[Backend]:
        return [self._stack.enter_context(self._open_backend(name, self._places.address())) for name in names]


class _StreamServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 1024

    def __init__(self, place: tuple[str, int], handler: type[socketserver.BaseRequestHandler], name: str) -> None:
        self.place, self.name = place, name
        self.address_family = _family_of(place)
        self.accepted = 0
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(place, handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, peer = super().get_request()
        with self._lock:
            self.accepted += 1
            self._open.add(connection)
        return connection, peer

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        with self._lock:
            for connection in self._open:
                _cut(connection)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that a test cuts is no error of the backend's."""


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # already cut by the peer


class _DatagramServer(socketserver.UDPServer):
    max_packet_size = 65535

    def __init__(self, place: tuple[str, int], handler: type[socketserver.BaseRequestHandler], name: str) -> None:
        self.place, self.name = place, name
        self.address_family = _family_of(place)
        super().__init__(place, handler)


def _family_of(place: tuple[str, int]) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in place[0] else socket.AF_INET


class _NameOverHTTP(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, _StreamServer)
        body = f"{self.server.name}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class _GreetAndEcho(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _StreamServer)
        self.request.sendall(f"{self.server.name}\n".encode())
        while data := self.request.recv(65536):
            self.request.sendall(data)


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


class _EchoDatagram(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _DatagramServer)
        data, server_socket = self.request
        server_socket.sendto(f"{self.server.name}:".encode() + data, self.client_address)
