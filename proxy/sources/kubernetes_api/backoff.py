"""Backoff: how long to wait before the next attempt, with jitter.

Randomness is passed in. Invariant: every delay is between `first` and `longest` seconds.
Decorrelated jitter (Brooker, "Exponential Backoff and Jitter"): clients that failed together do not return together.
"""

from random import Random


class Backoff:
    """The delays of one series of failures; `last` is the one that was given last, in seconds."""

    def __init__(self, first: float, longest: float, random: Random) -> None:
        self._first = first
        self._longest = longest
        self._random = random
        self.last = first

    def next(self) -> float:
        """Seconds to wait now; on average longer each time."""
        self.last = min(self._longest, self._random.uniform(self._first, 3 * self.last))
        return self.last

    def reset(self) -> None:
        """The next failure begins a new series."""
        self.last = self._first
