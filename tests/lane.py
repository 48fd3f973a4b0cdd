"""What this test process has for itself alone: addresses and ports that no other test process gives out.

Test processes run side by side: the workers of one run, and several runs on one machine. Each holds one of 50 lanes for
as long as it lives, by a name of the kernel's (unix(7), abstract), which goes with the process however that ends.
Imports nothing of ours. Invariant: the ports lie below those that the kernel gives to clients (ip_local_port_range).
"""

import errno
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count

NODE_PORT_BLOCK = 24
"""Above 16, so that the block has an upper band to allocate from, as the real range has."""
_LANES = 50
_LOWEST_PORT = 15000
_BLOCKS = 10
_SINGLE_PORTS = 60
_PORTS = _BLOCKS * NODE_PORT_BLOCK + _SINGLE_PORTS
_PATIENCE = 50.0
_PAUSE = 0.05


class Lane:
    """One of the lanes: its ports come round again, its networks do after 256."""

    def __init__(self, number: int, held: socket.socket) -> None:
        self.number = number
        self._held = held
        self._networks, self._blocks, self._singles = (count(os.getpid()) for _ in range(3))
        self._first_port = _LOWEST_PORT + number * _PORTS

    def network(self) -> str:
        """The beginning `127.x.y` of addresses for one test."""
        return f"127.{130 + self.number}.{next(self._networks) % 256}"

    def wide_network(self) -> str:
        """A CIDR of 4096 addresses."""
        return f"127.{97 + self.number // 16}.{self.number % 16 * 16}.0/20"

    def node_ports(self) -> range:
        """A block of ports on which nothing listens."""
        for _ in range(_BLOCKS):
            first = self._first_port + next(self._blocks) % _BLOCKS * NODE_PORT_BLOCK
            block = range(first, first + NODE_PORT_BLOCK)
            if all(is_free(port) for port in block):
                return block
        raise AssertionError("no free block of ports for node ports")

    def port(self) -> int:
        """A single port on which nothing listens, not one of `node_ports`."""
        for _ in range(_SINGLE_PORTS):
            port = self._first_port + _BLOCKS * NODE_PORT_BLOCK + next(self._singles) % _SINGLE_PORTS
            if is_free(port):
                return port
        raise AssertionError("no free port")


@cache
def this_lane() -> Lane:
    """The lane of this process. First called outside the tests, which may be in network namespaces of their own."""
    for number in range(_LANES):
        if held := _hold(f"lane-{number}"):
            return Lane(number, held)
    raise RuntimeError(f"{_LANES} test processes run already")


def free_port() -> int:
    """A port on which nothing listens, on any address, and which no client is given."""
    return this_lane().port()


@contextmanager
def alone(what: str, patience: float = _PATIENCE) -> Iterator[None]:
    """Keep other test processes out that are `alone` with the same thing; waits until they have let go of it."""
    deadline = time.monotonic() + patience
    while not (held := _hold(what)):
        assert time.monotonic() < deadline, f"another test process does not let go of {what}"
        time.sleep(_PAUSE)
    with held:
        yield


def is_free(port: int, address: str = "") -> bool:
    """Whether nothing listens on `port`, TCP or UDP (empty: on any address of either family)."""
    places = [(socket.AF_INET, address)] if address else [(socket.AF_INET, ""), (socket.AF_INET6, "::")]
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM)
    return all(_is_free(family, kind, place, port) for family, place in places for kind in kinds)


def _is_free(family: socket.AddressFamily, kind: socket.SocketKind, address: str, port: int) -> bool:
    try:
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM))
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
    except OSError as error:
        # Nothing listens on an address, or in a family, that is not here.
        return error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True


def _hold(name: str) -> socket.socket | None:
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        holder.bind(f"\0svcproxy-tests-{name}")
    except OSError as error:
        holder.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return holder
