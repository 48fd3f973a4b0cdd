"""Fixtures of the kernel's part: a network namespace of the test's own, and programs attached in it alone.

Invariant: this process is back in its own namespace when a test is over, and what the test attached is gone with its.
"""

import ctypes
import os
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from proxy.bpf.bpf_error import BpfError
from proxy.bpf.socket_lookup import SocketLookup

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_HERE = "/proc/thread-self/ns/net"

_ATTACH_FILTER = 26  # SO_ATTACH_FILTER
_RETURN_NOTHING = struct.pack("HBBI", 6, 0, 0, 0)

Listen = Callable[..., list[socket.socket]]


@pytest.fixture
def network_namespace() -> Iterator[None]:
    """This thread in a namespace with 10.96.0.0/16 and fd00:96::/112 local, and 127/8 as everywhere; clients may come
    from any of 10.96.0.0/16, fd00:96::73 and fd00:96::80."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open(_HERE, os.O_RDONLY | os.O_CLOEXEC)
    if libc.unshare(_NEW_NETWORK) != 0:
        os.close(before)
        pytest.skip(f"not permitted: a network namespace ({os.strerror(ctypes.get_errno())})")
    try:
        for command in (
            "link set lo up",
            "route add local 10.96.0.0/16 dev lo",
            "-6 route add local fd00:96::/112 dev lo",
            # Nobody binds an IPv6 address that is local by a route alone.
            "-6 address add fd00:96::73/128 dev lo nodad",
            "-6 address add fd00:96::80/128 dev lo nodad",
        ):
            subprocess.run(["ip", *command.split()], check=True, timeout=20)
        yield
    finally:
        assert libc.setns(before, _NEW_NETWORK) == 0
        os.close(before)


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
