"""The cache of lblc and lblcr: what was chosen for a destination address, until it goes unused for long.

Invariant: entries stand in the order of their last use, so the ones to expire come first and a look-up never scans. The
limits are the kernel's (ip_vs_lblc.c, ip_vs_lblcr.c); it applies them from a timer once in 30 minutes, here they hold
at every look-up.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

LIFETIME = 24 * 60 * 60.0
"""Seconds without use after which an entry is dropped."""

CROWDED = 16 * 1024
"""Above this many entries the shorter lifetime holds."""

CROWDED_LIFETIME = 6 * 60.0
"""Seconds without use after which an entry of a crowded cache is dropped."""

Choice = TypeVar("Choice")


class DestinationCache(Generic[Choice]):
    """Destination key to choice; `now` is monotonic seconds and never goes back."""

    def __init__(self) -> None:
        self.entries: OrderedDict[int, tuple[Choice, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.entries)

    def get(self, key: int, now: float) -> Choice | None:
        """The choice stored for a destination, which counts as a use of it, or None."""
        self._expire(now)
        entry = self.entries.get(key)
        if entry is None:
            return None
        choice, _ = entry
        self.put(key, choice, now)
        return choice

    def put(self, key: int, choice: Choice, now: float) -> None:
        self.entries[key] = (choice, now)
        self.entries.move_to_end(key)

    def choices(self) -> list[Choice]:
        """Every choice, the least recently used first."""
        return [choice for choice, _ in self.entries.values()]

    def copy(self, copied: Callable[[Choice], Choice]) -> "DestinationCache[Choice]":
        """The same entries, with a copy of each choice."""
        other: DestinationCache[Choice] = DestinationCache()
        for key, (choice, last_use) in self.entries.items():
            other.entries[key] = (copied(choice), last_use)
        return other

    def discard(self, gone: Callable[[Choice], bool]) -> None:
        """Drop the entries whose choice is gone."""
        for key in [key for key, (choice, _) in self.entries.items() if gone(choice)]:
            del self.entries[key]

    def _expire(self, now: float) -> None:
        while self.entries:
            oldest, (_, last_use) = next(iter(self.entries.items()))
            lifetime = CROWDED_LIFETIME if len(self.entries) > CROWDED else LIFETIME
            if now - last_use <= lifetime:
                break
            del self.entries[oldest]
