"""The network namespace of one test, and other machines beside it.

Invariant: whatever a test sets or adds here goes with its namespaces; the machine's own network is never touched.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.hostile.wire import Wire, open_tun

_SYSCTLS = Path("/proc/sys/net")
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_NETWORK_HERE = "/proc/thread-self/ns/net"


class FarHost:
    """Another machine, at the other end of a wire. `address` is its own and `near_address` this machine's on the wire;
    `entered` runs a block there."""

    def __init__(self, address: str, near_address: str, namespace: int, wire: Wire) -> None:
        self.address = address
        self.near_address = near_address
        self.wire = wire
        self._namespace = namespace

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread, and what it starts, is on that machine."""
        with _elsewhere(self._namespace):
            yield


class Network:
    """The namespace that this thread, and what it starts, is in: loopback is up and nothing else is there."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._hosts = 0

    def sysctl(self, name: str, value: str) -> None:
        """Set `net.NAME`, dots as in sysctl(8); the test is skipped where that is not permitted."""
        path = _SYSCTLS / name.replace(".", "/")
        try:
            path.write_text(value)
        except PermissionError:
            pytest.skip(f"not permitted: to set net.{name}")
        assert path.read_text().split() == value.split()

    def far_host(self, delay: float = 0.0, loss: float = 0.0) -> FarHost:
        """A machine that every packet reaches after `delay` seconds, except the share `loss` of them, which is lost."""
        self._hosts += 1
        near, far = f"10.77.{self._hosts}.1", f"10.77.{self._hosts}.2"
        namespace = self._stack.enter_context(_new_namespace())
        here = self._stack.enter_context(open_tun(f"near{self._hosts}", near))
        with _elsewhere(namespace):
            there = self._stack.enter_context(open_tun("far", far))
        return FarHost(far, near, namespace, self._stack.enter_context(Wire(here, there, delay, loss)))


@contextmanager
def _new_namespace() -> Iterator[int]:
    """The descriptor of a namespace that ends with the block."""
    before = os.open(_NETWORK_HERE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call("unshare", _NEW_NETWORK)
        made = os.open(_NETWORK_HERE, os.O_RDONLY | os.O_CLOEXEC)
        _call("setns", before, _NEW_NETWORK)
    finally:
        os.close(before)
    try:
        yield made
    finally:
        os.close(made)


@contextmanager
def _elsewhere(namespace: int) -> Iterator[None]:
    before = os.open(_NETWORK_HERE, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call("setns", namespace, _NEW_NETWORK)
        yield
    finally:
        _call("setns", before, _NEW_NETWORK)
        os.close(before)


def _call(name: str, *arguments: int) -> None:
    """A system call of libc's. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
