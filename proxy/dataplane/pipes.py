"""Pipes for splice, pooled and bounded.

Invariant: a pipe in the pool is empty; one that may hold bytes is closed instead of returned.
"""

import fcntl
import os
from typing import NamedTuple

from proxy.dataplane.descriptors import Descriptors

PIPE_SIZE = 1024 * 1024
_MOST_IDLE = 32


class Pipe(NamedTuple):
    """The two ends of a pipe; `size` is what the kernel granted, bytes."""

    reader: int
    writer: int
    size: int


class Pipes:
    """Lends pipes; `lend` gives None when there is none to be had, which only means that bytes are copied instead."""

    def __init__(self, descriptors: Descriptors, most: int = 256) -> None:
        self._descriptors = descriptors
        self._idle: list[Pipe] = []
        self._left = most

    def lend(self) -> Pipe | None:
        """An empty pipe from the pool or a new one."""
        if self._idle:
            return self._idle.pop()
        # A connection is worth more than a faster one: the last quarter of the budget is not for pipes.
        if not self._left or self._descriptors.free < self._descriptors.capacity // 4 or not self._descriptors.take(2):
            return None
        try:
            reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self._descriptors.give(2)
            return None
        self._left -= 1
        return Pipe(reader, writer, _enlarged(writer))

    def give_back(self, pipe: Pipe, empty: bool) -> None:
        """Return a lent pipe; `empty` is whether everything written to it was read."""
        if empty and len(self._idle) < _MOST_IDLE:
            self._idle.append(pipe)
        else:
            self._close(pipe)

    def close(self) -> None:
        """Close the idle pipes."""
        while self._idle:
            self._close(self._idle.pop())

    def _close(self, pipe: Pipe) -> None:
        os.close(pipe.reader)
        os.close(pipe.writer)
        self._left += 1
        self._descriptors.give(2)


def _enlarged(writer: int) -> int:
    """Ask for a large pipe; an unprivileged user over pipe-user-pages-soft keeps the size it has."""
    try:
        return fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    except OSError:
        return fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ)
