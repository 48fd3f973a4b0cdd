"""Clients of the echo backends: one question at a time, or a conversation that stays open.

Invariant: every operation is bounded in time; `ask` returns after the proxy has let go of its connection, so that
what a scheduler counts is the same in every run.
"""

import socket
import subprocess
from collections import Counter
from typing import Self

TIMEOUT = 10.0
_LOST = 0.5
"""Seconds without an answer to a datagram; a refusal on loopback comes at once."""


def connect(address: str, port: int, source: str = "", timeout: float = TIMEOUT) -> socket.socket:
    """A connection, from the address `source` if that is given."""
    return socket.create_connection((address, port), timeout, (source, 0) if source else None)


def ask(address: str, port: int, source: str = "") -> str:
    """The name of the echo backend that serves one connection, which is over when this returns."""
    with connect(address, port, source) as client:
        client.shutdown(socket.SHUT_WR)
        return receive_all(client).decode().rstrip("\n")


def ask_often(times: int, address: str, port: int, source: str = "") -> Counter[str]:
    """How often each backend served, one connection after the other."""
    return Counter(ask(address, port, source) for _ in range(times))


def receive_all(client: socket.socket) -> bytes:
    """What comes up to the end of the stream."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def served_by(address: str, port: int) -> str:
    """The name of the echo backend that serves one connection, empty where nobody does just now."""
    try:
        return ask(address, port)
    except (ConnectionRefusedError, ConnectionResetError):
        return ""


def is_refused(address: str, port: int) -> bool:
    """Whether the connect itself is refused; a client that was let in and then reset was not."""
    try:
        connect(address, port).close()
    except (ConnectionRefusedError, ConnectionResetError) as ended:
        return isinstance(ended, ConnectionRefusedError)
    return False


def is_reset(address: str, port: int) -> bool:
    """Whether a connection on which the client says nothing ends in a reset, be it before the client's connect has
    returned or after."""
    try:
        with connect(address, port) as client:
            receive_all(client)
    except ConnectionResetError:
        return True
    return False


def ask_udp(address: str, port: int, data: bytes = b"hello", source: str = "", timeout: float = TIMEOUT) -> str:
    """The name of the backend that answers one datagram, from a socket of its own. Raises ConnectionRefusedError."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout)
        if source:
            client.bind((source, 0))
        client.connect((address, port))
        client.send(data)
        name, separator, echoed = client.recv(65535).partition(b":")
        assert separator
        assert echoed == data
        return name.decode()


def is_udp_refused(address: str, port: int) -> bool:
    """Whether a datagram is refused; one that was lost while things changed was not."""
    try:
        ask_udp(address, port, timeout=_LOST)
    except (ConnectionRefusedError, TimeoutError) as ended:
        return isinstance(ended, ConnectionRefusedError)
    return False


def curl(url: str, *flags: str) -> str:
    """What curl prints."""
    command = ["curl", "--silent", "--show-error", "--max-time", "10", *flags, url]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout


class Conversation:
    """An open connection to an echo backend, whose `name` it has read."""

    def __init__(self, address: str, port: int, source: str = "") -> None:
        self.socket = connect(address, port, source)
        try:
            self.name = self._line()
        except BaseException:
            self.socket.close()
            raise

    def say(self, data: bytes) -> bytes:
        """Send, and read as many bytes back."""
        self.socket.sendall(data)
        return b"".join(self._exactly(len(data)))

    def finish(self) -> bytes:
        """End our side, and read the rest of theirs; the proxy has let go when this returns."""
        with self.socket:
            self.socket.shutdown(socket.SHUT_WR)
            return receive_all(self.socket)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def _line(self) -> str:
        line = b""
        while not line.endswith(b"\n"):
            more = self.socket.recv(1)
            if not more:
                raise ConnectionResetError(f"ended after {line!r}")
            line += more
        return line.decode().rstrip("\n")

    def _exactly(self, size: int) -> list[bytes]:
        parts = []
        while size:
            part = self.socket.recv(min(size, 65536))
            if not part:
                raise ConnectionResetError(f"ended {size} bytes early")
            parts.append(part)
            size -= len(part)
        return parts
