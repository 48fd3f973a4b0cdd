"""A network namespace behind a veth, for backends that are on another machine as far as the proxies can tell.

Invariant: the namespace, and with it both ends of the veth, goes with the block.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

DELAY = "1ms"
_HERE = "10.201.77.1"
_ADDRESSES = ("10.201.77.2", "10.201.77.3", "10.201.77.4", "10.201.77.5")


class FarNetwork(msgspec.Struct, frozen=True):
    """`enter` is what runs the command that follows it in the namespace, `addresses` are there; `delay` is what every
    packet from there takes, empty where the kernel has no netem."""

    enter: tuple[str, ...]
    addresses: tuple[str, ...]
    delay: str


@contextmanager
def far_network() -> Iterator[FarNetwork]:
    """Raises CalledProcessError and FileNotFoundError where that is not permitted, or there is no ip(8)."""
    name = f"svcproxy-bench-{os.getpid()}"
    enter = ("ip", "netns", "exec", name)
    _run("ip", "netns", "add", name)
    try:
        _run("ip", "link", "add", "bench-far", "type", "veth", "peer", "name", "bench", "netns", name)
        _run("ip", "addr", "add", f"{_HERE}/24", "dev", "bench-far")
        _run("ip", "link", "set", "bench-far", "up")
        for address in _ADDRESSES:
            _run(*enter, "ip", "addr", "add", f"{address}/24", "dev", "bench")
        for device in ("bench", "lo"):
            _run(*enter, "ip", "link", "set", device, "up")
        yield FarNetwork(enter, _ADDRESSES, _delayed(enter))
    finally:
        subprocess.run(("ip", "link", "del", "bench-far"), capture_output=True, check=False)
        _run("ip", "netns", "del", name)


def _delayed(enter: tuple[str, ...]) -> str:
    command = (*enter, "tc", "qdisc", "add", "dev", "bench", "root", "netem", "delay", DELAY)
    try:
        return "" if subprocess.run(command, capture_output=True, check=False).returncode else DELAY
    except FileNotFoundError:
        return ""


def _run(*command: str) -> None:
    subprocess.run(command, capture_output=True, check=True)
