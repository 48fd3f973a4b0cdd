"""The budget of file descriptors that the data plane may hold.

Imports nothing of ours. Counted rather than met: the control process's health and admin sockets need descriptors too
when the limit is reached, so the data plane stops short of it. Invariant: nothing is taken that is not free but by
`occupy`, and whoever waits for descriptors is called once when some return, in the order of waiting.
"""

from collections import deque
from collections.abc import Callable


class Descriptors:
    """`capacity` is how many the data plane may hold; `take` and `give` keep count."""

    __slots__ = ("_waiting", "capacity", "free")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.free = capacity
        self._waiting: deque[Callable[[], None]] = deque()

    def take(self, count: int) -> bool:
        """Take `count` descriptors if there are as many; all or nothing."""
        if count > self.free:
            return False
        self.free -= count
        return True

    def occupy(self, count: int) -> None:
        """Count descriptors that came from elsewhere, as listening sockets do; `free` may fall below zero by it."""
        self.free -= count

    def give(self, count: int) -> None:
        """Give back; the longest waiting caller gets its turn for each pair that is free."""
        self.free += count
        self.wake()

    def wait(self, callback: Callable[[], None]) -> None:
        """Call back, once, when two descriptors are free."""
        self._waiting.append(callback)

    def wake(self) -> None:
        """Give the longest waiting caller another try: the system may have refused although the count allowed it."""
        if self._waiting and self.free >= 2:
            self._waiting.popleft()()
