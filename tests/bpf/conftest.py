"""Fixtures of the kernel's part: programs attached in a network namespace of the test's own.

Invariant: what a test attached is gone when it is over.
"""

import ctypes
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from proxy.bpf.bpf_error import BpfError
from proxy.bpf.socket_lookup import SocketLookup

_ATTACH_FILTER = 26  # SO_ATTACH_FILTER
_RETURN_NOTHING = struct.pack("HBBI", 6, 0, 0, 0)

Listen = Callable[..., list[socket.socket]]


@pytest.fixture
def lookup(network_namespace: None) -> Iterator[SocketLookup]:
    try:
        lookup = SocketLookup()
    except BpfError as error:
        pytest.skip(f"not permitted: {error}")
    yield lookup
    lookup.close()


@pytest.fixture
def listen(network_namespace: None) -> Iterator[Listen]:
    """Opens a group of `count` sockets on one free port of loopback: TCP listens, UDP is bound."""
    with ExitStack() as stack:

        def group(protocol: str, family: socket.AddressFamily, count: int = 1) -> list[socket.socket]:
            sockets: list[socket.socket] = []
            kind = socket.SOCK_STREAM if protocol == "TCP" else socket.SOCK_DGRAM
            for _ in range(count):
                sock = stack.enter_context(socket.socket(family, kind))
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                sock.bind(("::1" if family is socket.AF_INET6 else "127.0.0.1", port_of(sockets)))
                sock.settimeout(5)
                if protocol == "TCP":
                    sock.listen()
                sockets.append(sock)
            return sockets

        yield group


def deafen(sock: socket.socket) -> None:
    """Let the socket receive nothing, and refuse nobody."""
    program = ctypes.create_string_buffer(_RETURN_NOTHING, len(_RETURN_NOTHING))
    sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(program)))


def port_of(sockets: list[socket.socket]) -> int:
    return int(sockets[0].getsockname()[1]) if sockets else 0
