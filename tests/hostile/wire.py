"""A wire between two network namespaces that is slow and loses packets, in userspace: not every kernel has netem.

Invariant: packets that are not lost arrive in the order in which they were sent, and none arrives early.
"""

import fcntl
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import pytest

_TUNSETIFF = 0x400454CA
_IFF_TUN_NO_PI = 0x0001 | 0x1000
_LONGEST_PACKET = 65536
_LONGEST_SLEEP = 0.05


@contextmanager
def open_tun(name: str, address: str) -> Iterator[int]:
    """A tun device in this namespace with an address in a /24 of its own; gives the descriptor of its other end."""
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        pytest.skip(f"no tun devices: {error}")
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN_NO_PI))
        for command in (f"addr add {address}/24 dev {name}", f"link set {name} up"):
            subprocess.run(["ip", *command.split()], check=True, timeout=20)
        yield descriptor
    finally:
        os.close(descriptor)


class Wire:
    """Carries packets between two tun devices while its block lasts. `lost` and `carried` count packets; `cut` stops
    everything until `mend`."""

    def __init__(self, one: int, other: int, delay: float, loss: float) -> None:
        self._ends = {one: other, other: one}
        self._delay = delay
        self._loss = loss
        self._random = random.Random(1)
        self._under_way: deque[tuple[float, int, bytes]] = deque()
        self._is_cut = threading.Event()
        self._is_over = threading.Event()
        self.carried = self.lost = 0
        self._thread = threading.Thread(target=self._carry, name="wire", daemon=True)

    def cut(self) -> None:
        """From now on every packet is lost."""
        self._is_cut.set()

    def mend(self) -> None:
        """The wire is as it was."""
        self._is_cut.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _carry(self) -> None:
        while not self._is_over.is_set():
            until = self._under_way[0][0] - time.monotonic() if self._under_way else _LONGEST_SLEEP
            for end in select.select(list(self._ends), [], [], max(0.0, min(until, _LONGEST_SLEEP)))[0]:
                self._take(end)
            self._deliver(time.monotonic())

    def _take(self, end: int) -> None:
        try:
            packet = os.read(end, _LONGEST_PACKET)
        except BlockingIOError:
            return
        if self._is_cut.is_set() or self._random.random() < self._loss:
            self.lost += 1
        else:
            self._under_way.append((time.monotonic() + self._delay, self._ends[end], packet))

    def _deliver(self, now: float) -> None:
        while self._under_way and self._under_way[0][0] <= now:
            _, end, packet = self._under_way.popleft()
            try:
                os.write(end, packet)
                self.carried += 1
            except OSError:
                # A full queue, or a device that is down: lost as on any wire.
                self.lost += 1
