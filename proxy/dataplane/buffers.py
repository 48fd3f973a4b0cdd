"""How many bytes the relays of one worker hold for readers that are slower than their writers.

Invariant: while `is_full`, no direction reads more; whoever had to wait is told when there is room again.
"""

from typing import Protocol

from proxy.dataplane.reactor import Waiting


class Queue(Protocol):
    """Where those that waited are called, in turn with everybody else (the reactor)."""

    def again(self, waiting: Waiting, /) -> None: ...


class Buffers:
    """`capacity` and `held` are bytes; what lies in pipes counts as well."""

    __slots__ = ("_queue", "_waiting", "capacity", "held")

    def __init__(self, capacity: int, queue: Queue) -> None:
        self._queue = queue
        self._waiting: dict[Waiting, None] = {}
        self.capacity = capacity
        self.held = 0

    @property
    def is_full(self) -> bool:
        """Whether nothing more may be read."""
        return self.held >= self.capacity

    @property
    def is_scarce(self) -> bool:
        """Whether nobody may read more at a time than before: half of the room is taken."""
        return self.held * 2 >= self.capacity

    def change(self, difference: int) -> None:
        """So many bytes are held more, or fewer."""
        self.held += difference
        if difference < 0 and self._waiting and not self.is_full:
            waiting, self._waiting = self._waiting, {}
            for each in waiting:
                self._queue.again(each)

    def wait(self, starving: Waiting) -> None:
        """Have `go_on` called, in turn with everybody else, when there is room."""
        self._waiting[starving] = None

    def forget(self, starving: Waiting) -> None:
        """It waits no more."""
        self._waiting.pop(starving, None)
