"""A draw among backends in proportion to their weights, for the schedulers that use randomness.

Invariant: every backend has a weight above 0, and a draw costs a binary search.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

from proxy.schedulers.backend import Backend


class WeightedDraw:
    """Backends laid end to end, each as long as its weight; `total` is the length of all."""

    __slots__ = ("backends", "ends", "total")

    def __init__(self, backends: Sequence[Backend]) -> None:
        self.backends = backends
        self.ends = list(accumulate(backend.weight for backend in backends))
        self.total = self.ends[-1] if self.ends else 0

    def at(self, mark: int) -> Backend:
        """The first backend, in list order, whose end is at or beyond `mark` (0 to `total`, both inclusive)."""
        return self.backends[bisect_left(self.ends, mark)]
