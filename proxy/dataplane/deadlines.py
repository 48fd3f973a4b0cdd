"""Deadlines: who may have been idle for too long. Pure; the clock is an argument.

Use costs nothing here: an item is looked at when its deadline as of the last look has passed, and goes back with its
new one if it was used meanwhile. Invariant: an item is never reported before its own `deadline()`, and what was
discarded is never reported.
"""

import heapq
from collections.abc import Iterator
from typing import Protocol


class Expiring(Protocol):
    """Something with a deadline that moves as it is used."""

    def deadline(self) -> float:
        """Monotonic seconds after which it counts as idle."""


class Deadlines:
    """A heap of (deadline as of the last look, token); the items by token."""

    __slots__ = ("_heap", "_items", "_last_token", "_tokens")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int]] = []
        self._items: dict[int, Expiring] = {}
        self._tokens: dict[Expiring, int] = {}
        self._last_token = 0

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, item: object) -> bool:
        return item in self._tokens

    def __iter__(self) -> Iterator[Expiring]:
        return iter(self._items.values())

    def add(self, item: Expiring) -> None:
        """Watch an item from now on."""
        self._last_token += 1
        self._items[self._last_token] = item
        self._tokens[item] = self._last_token
        heapq.heappush(self._heap, (item.deadline(), self._last_token))

    def discard(self, item: Expiring) -> None:
        """Watch it no longer; unknown items are fine."""
        token = self._tokens.pop(item, None)
        if token is not None:
            del self._items[token]
            if len(self._heap) > 2 * len(self._items) + 64:
                self._heap = [entry for entry in self._heap if entry[1] in self._items]
                heapq.heapify(self._heap)

    def due(self, now: float) -> list[Expiring]:
        """Take out and give the items whose deadline has passed."""
        expired = []
        while self._heap and self._heap[0][0] <= now:
            _, token = heapq.heappop(self._heap)
            item = self._items.get(token)
            if item is None:
                continue
            deadline = item.deadline()
            if deadline > now:
                heapq.heappush(self._heap, (deadline, token))
            else:
                del self._items[token], self._tokens[item]
                expired.append(item)
        return expired

    def nearest(self) -> Expiring | None:
        """The item whose deadline comes first, not taken out: what has been idle the longest where the idle time
        allowed is the same."""
        while self._heap:
            seen, token = self._heap[0]
            item = self._items.get(token)
            if item is None:
                heapq.heappop(self._heap)
                continue
            deadline = item.deadline()
            if deadline <= seen:
                return item
            heapq.heapreplace(self._heap, (deadline, token))
        return None
