"""The budget of file descriptors that the data plane may hold.

Imports nothing of ours. Counted rather than met: the control process's health and admin sockets need descriptors too
when the limit is reached, so the data plane stops short of it. Invariant: nothing is taken that is not free but by
`occupy`, and whoever waits for descriptors is called once when some return, in the order of waiting.
"""

import logging
from collections import deque
from collections.abc import Callable

REPORT_INTERVAL = 30.0
"""Seconds between two reports of exhaustion."""

_log = logging.getLogger(__name__)


class Descriptors:
    """`capacity` is how many the data plane may hold; `take` and `give` keep count."""

    __slots__ = ("_reported", "_waiting", "capacity", "free")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.free = capacity
        self._reported = -REPORT_INTERVAL
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)

    def take(self, count: int) -> bool:
        """Take `count` descriptors if there are as many; all or nothing."""
        if count > self.free:
            return False
        self.free -= count
        return True

    def occupy(self, count: int) -> None:
        """Count descriptors that are there already: those of listening sockets, by which `free` may fall below zero,
        and those of clients, who are accepted only while enough is free."""
        self.free -= count

    def give(self, count: int) -> None:
        """Give back; the longest waiting caller gets its turn for each pair that is free."""
        self.free += count
        if self._waiting:
            self.wake()

    def put_back(self, count: int) -> None:
        """Undo a `take` that came to nothing. Nobody is woken: where the system refuses what the count allows, two that
        wait would wake each other without end."""
        self.free += count

    def report_exhaustion(self, now: float) -> None:
        """Say that clients have to wait, at most once in a while."""
        if now - self._reported >= REPORT_INTERVAL:
            self._reported = now
            _log.warning(
                f"out of file descriptors: {self.capacity - self.free} of {self.capacity} are in use, a connection "
                "takes two; clients wait until some return: raise the limit on open files (ulimit -n, LimitNOFILE)"
            )

    def wait(self, callback: Callable[[], None]) -> None:
        """Call back, once, when two descriptors are free."""
        self._waiting.append(callback)

    def wake(self) -> None:
        """Give one caller another try for each pair that is free, the longest waiting first: the system may have
        refused although the count allowed it."""
        for _ in range(min(len(self._waiting), self.free // 2)):
            self._waiting.popleft()()
