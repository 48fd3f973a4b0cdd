"""Idle connections: each carried one request and its answer, and stays open.

Imports the standard library. Invariant: when `held` yields, every connection is established on both sides of a proxy,
because an answer came back over it.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from load_wrk import LoadFailedError
from wait import REQUEST, Address

TIMEOUT_SECONDS = 5.0


@contextmanager
def held(address: Address, connections: int) -> Iterator[None]:
    """Hold `connections` open. Raises LoadFailedError if one of them got no answer."""
    with ExitStack() as stack:
        for number in range(connections):
            client = stack.enter_context(socket.create_connection(address, timeout=TIMEOUT_SECONDS))
            client.sendall(REQUEST)
            if not client.recv(4096).startswith(b"HTTP/1.1 200"):
                raise LoadFailedError(f"idle: connection {number} to {address} got no answer")
        yield
