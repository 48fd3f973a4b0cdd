"""A machine outside: another network namespace, joined to the test's own by a pair of interfaces.

Invariant: the calling thread is in the test's own namespace whenever anybody else runs.
"""

import contextlib
import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator

import pytest

HERE, THERE = "192.0.2.1", "192.0.2.2"
HERE6, THERE6 = "2001:db8::1", "2001:db8::2"
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_LIBC = ctypes.CDLL(None, use_errno=True)


class Outside:
    """Clients on the other machine. The test's own has HERE and HERE6, the other one THERE and THERE6."""

    def __init__(self, namespace: int) -> None:
        self._namespace = namespace

    def open(self, family: socket.AddressFamily, kind: socket.SocketKind) -> socket.socket:
        """A socket of the other machine's, with a timeout."""
        with _entered(self._namespace):
            made = socket.socket(family, kind)
        made.settimeout(10)
        return made

    def ask(self, address: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> str:
        """The first line that comes back for a word, or the part before a colon. Raises TimeoutError where that is
        nothing within half a second."""
        with self.open(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as client:
            client.settimeout(0.5)
            client.connect((address, port))
            client.settimeout(0.5 if kind is socket.SOCK_DGRAM else 10)
            client.send(b"hello\n")
            return client.recv(100).decode().partition("\n")[0].partition(":")[0].strip()


@contextlib.contextmanager
def _entered(namespace: int) -> Iterator[None]:
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        assert _LIBC.setns(namespace, _NEW_NETWORK) == 0
        yield
    finally:
        assert _LIBC.setns(here, _NEW_NETWORK) == 0
        os.close(here)


def _ip(*commands: str) -> None:
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True, timeout=20)


@pytest.fixture
def outside(network_namespace: None) -> Iterator[Outside]:
    """A machine outside the one of `network_namespace`."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    assert _LIBC.unshare(_NEW_NETWORK) == 0
    there = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    # Somebody must be in the namespace for `ip` to name it by.
    holder = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    try:
        _ip("link set lo up")
        assert _LIBC.setns(here, _NEW_NETWORK) == 0
        _ip(
            f"link add name near type veth peer name far netns {holder.pid}",
            f"address add {HERE}/24 dev near",
            f"-6 address add {HERE6}/64 dev near nodad",
            "link set near up",
        )
        with _entered(there):
            _ip(
                f"address add {THERE}/24 dev far",
                f"-6 address add {THERE6}/64 dev far nodad",
                "link set far up",
            )
        yield Outside(there)
    finally:
        assert _LIBC.setns(here, _NEW_NETWORK) == 0
        holder.communicate(timeout=20)
        os.close(here)
        os.close(there)
