"""Backoff: how long to wait before the next attempt, with jitter.

Imports nothing of ours; randomness is passed in. Invariant: every delay is between `first` and `longest` seconds.
Decorrelated jitter (Brooker, "Exponential Backoff and Jitter"): clients that failed together do not return together.
"""

from random import Random


class Backoff:
    """The delays of one series of failures."""

    def __init__(self, first: float, longest: float, random: Random) -> None:
        self._first = first
        self._longest = longest
        self._random = random
        self._previous = first

    def next(self) -> float:
        """Seconds to wait now; on average longer each time."""
        self._previous = min(self._longest, self._random.uniform(self._first, 3 * self._previous))
        return self._previous

    def reset(self) -> None:
        """The next failure begins a new series."""
        self._previous = self._first
