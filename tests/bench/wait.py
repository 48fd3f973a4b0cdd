"""Waiting until a child answers, by asking it.

Imports the standard library and Child. Invariant: every wait is bounded and ends early, with the child's log, when the
child has ended.
"""

import socket
import time
from collections.abc import Callable

from child import Child, ChildFailedError

READY_SECONDS = 20.0
POLL_SECONDS = 0.01
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"

Address = tuple[str, int]


def http_answer(address: Address, timeout: float = 2.0) -> bytes:
    """One GET / over a connection of its own: the answer's first segment, empty if the peer closed without one."""
    with socket.create_connection(address, timeout=timeout) as client:
        client.sendall(REQUEST)
        return client.recv(65536)


def until(child: Child, is_ready: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
    """Raises ChildFailedError after so many seconds, or when the child has ended."""
    deadline = time.monotonic() + seconds
    while not is_ready():
        child.check_alive()
        if time.monotonic() > deadline:
            raise ChildFailedError(f"{child.name} did not get ready in {seconds:.0f} s:\n{child.log_tail()}")
        time.sleep(POLL_SECONDS)


def until_http_answers(child: Child, address: Address) -> None:
    """Raises ChildFailedError unless a 200 arrives within READY_SECONDS."""
    until(child, lambda: _answers_http(address))


def until_udp_answers(child: Child, address: Address) -> None:
    """Raises ChildFailedError unless a datagram comes back within READY_SECONDS."""
    until(child, lambda: _answers_udp(address))


def _answers_http(address: Address) -> bool:
    try:
        return http_answer(address).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def _answers_udp(address: Address) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.connect(address)
        try:
            client.send(b"ready?")
            return client.recv(64) == b"ready?"
        except OSError:
            return False
