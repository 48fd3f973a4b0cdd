"""Addresses and ports for one test that no other test has, even in another run beside this one.

Invariant: every address lies in 127/8, outside the program's own default ranges; every node port was free when given.
"""

import errno
import os
import random
import socket
from collections.abc import Iterator
from itertools import count

_NODE_PORT_BLOCK = 24
"""Above 16, so that the block has an upper band to allocate from, as the real range has."""
_LOWEST_NODE_PORT, _HIGHEST_NODE_PORT = 15000, 28000


class Places:
    """The addresses and node ports of one test.

    `service_range` is a CIDR for ClusterIPs, `node_port_range` a text like "15000-15023".
    """

    _numbers = count()

    def __init__(self) -> None:
        number = next(Places._numbers)
        block = f"127.{130 + os.getpid() % 120}.{number % 256}"
        self.service_range = f"{block}.128/25"
        self._addresses: Iterator[int] = iter(range(1, 128))
        self._block = block
        first = _free_block()
        self.node_port_range = f"{first}-{first + _NODE_PORT_BLOCK - 1}"
        self._node_ports: Iterator[int] = iter(range(first, first + _NODE_PORT_BLOCK))

    def address(self) -> str:
        """An address for a backend or a status page."""
        return f"{self._block}.{next(self._addresses)}"

    def cluster_ip(self) -> str:
        """An address of the service range's lower band, which is not given out by itself."""
        return f"{self._block}.{128 + next(self._addresses) % 15 + 1}"

    def node_port(self) -> int:
        """A node port that nothing listens on."""
        return next(self._node_ports)


def _free_block() -> int:
    start = random.randrange(_LOWEST_NODE_PORT, _HIGHEST_NODE_PORT, _NODE_PORT_BLOCK)
    for first in range(start, start + 50 * _NODE_PORT_BLOCK, _NODE_PORT_BLOCK):
        if all(is_free(number) for number in range(first, first + _NODE_PORT_BLOCK)):
            return first
    raise AssertionError("no free block of ports for node ports")


def is_free(port: int, address: str = "") -> bool:
    """Whether nothing listens on `port`, TCP or UDP (empty: on any IPv4 address)."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM))
            try:
                probe.bind((address, port))
            except OSError as error:
                if error.errno != errno.EADDRNOTAVAIL:  # nothing listens on an address that is not here
                    return False
    return True
