"""Counts the packets that are dropped at a frontend before anybody could see them, and why.

The kernel has one number for each socket, or for each entry of its map, and does not know our reasons; but at any
moment there is one at most. Invariant: what was dropped is counted once, for the reason that was in force then.
"""

import enum
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterable

from proxy.capture.gate import Gate
from proxy.plan.frontend import Frontend

# include/uapi/asm-generic/socket.h and linux/sock_diag.h, since Linux 4.12; the socket module does not have them.
_SO_MEMINFO = 55
_SK_MEMINFO_VARS = 9
_SK_MEMINFO_DROPS = 8
_WORD = 1 << 32


class DropCause(enum.StrEnum):
    """The value is the label in the metrics."""

    SOURCE_RANGES = "source_ranges"
    NO_LOCAL_ENDPOINTS = "no_local_endpoints"


def cause_of(frontend: Frontend, gate: Gate) -> DropCause | None:
    """Why packets for the frontend are dropped while its gate is so; None where none is."""
    if gate is Gate.DROPPED:
        return DropCause.NO_LOCAL_ENDPOINTS
    return DropCause.SOURCE_RANGES if frontend.source_ranges else None


class DropMeter:
    """`read` gives how many packets were dropped up to now, modulo 2**32. One that is less than it was and did not pass
    2**32 means that there is nothing to read any more."""

    __slots__ = ("_cause", "_counted", "_read", "_seen")

    def __init__(self, read: Callable[[], int]) -> None:
        self._cause: DropCause | None = None
        self._counted: Counter[DropCause] = Counter()
        self._read = read
        self._seen = 0

    def attribute(self, cause: DropCause | None) -> None:
        """From now on packets are dropped for this reason. What is dropped without one is not counted."""
        if cause is not self._cause:
            self._catch_up()
            self._cause = cause

    def take(self) -> Counter[DropCause]:
        """What was dropped since the last call."""
        if self._cause is not None:
            self._catch_up()
        counted, self._counted = self._counted, Counter()
        return counted

    def _catch_up(self) -> None:
        now = self._read()
        dropped = (now - self._seen) % _WORD
        if self._cause is None:
            self._seen = now
        elif 0 < dropped < _WORD // 2:
            self._seen = now
            self._counted[self._cause] += dropped


def drops_of(sockets: Iterable[socket.socket]) -> int:
    """How many packets the kernel dropped at the sockets: those that a filter kept out, and those that a full queue
    had no room for. 0 for a socket that is closed, and where the kernel does not say."""
    return sum(map(_drops_of, sockets))


def _drops_of(sock: socket.socket) -> int:
    try:
        memory = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * _SK_MEMINFO_VARS)
    except OSError:
        # EBADF, or ENOPROTOOPT of a kernel older than this option. A count is not worth a frontend.
        return 0
    words = struct.unpack(f"@{len(memory) // 4}I", memory)
    return words[_SK_MEMINFO_DROPS] if len(words) > _SK_MEMINFO_DROPS else 0
