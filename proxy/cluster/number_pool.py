"""A range of numbers to give away, with a band at its start that is spared for people who choose their own.

Invariant: a number is out at most once, and memory grows with what is out, never with the range (KEP-3070 and
KEP-3668: static and dynamic bands of ClusterIPs and node ports).
"""

from collections.abc import Set as AbstractSet
from itertools import chain
from random import Random

from proxy.cluster.allocation_error import RangeFullError


class NumberPool:
    """The numbers 0..size-1, of which the first `static` are given by `allocate` only when the rest is gone.

    `withheld` numbers are never given by `allocate`, but can be taken by name.
    """

    def __init__(self, size: int, static: int, random: Random, withheld: AbstractSet[int] = frozenset()) -> None:
        self._size = size
        self._static = min(static, size)
        self._random = random
        self._withheld = withheld
        self._out: set[int] = set()
        self._out_static = 0

    def allocate(self) -> int:
        """A free number: from a random start in the upper band on, wrapping; then the lower band likewise.

        Raises RangeFullError.
        """
        upper_out = len(self._out) - self._out_static
        number = self._scan(self._static, self._size, upper_out)
        if number is None:
            number = self._scan(0, self._static, self._out_static)
        if number is None:
            raise RangeFullError
        self.take(number)
        return number

    def take(self, number: int) -> bool:
        """Take `number` of either band; False when it is out already."""
        if number in self._out:
            return False
        self._out.add(number)
        self._out_static += number < self._static
        return True

    def release(self, number: int) -> None:
        """Take `number` back; one that is not out stays so."""
        if number in self._out:
            self._out.remove(number)
            self._out_static -= number < self._static

    def _scan(self, first: int, end: int, out: int) -> int | None:
        """A free number in first..end-1, of which `out` are out."""
        if out == end - first:
            return None
        start = self._random.randrange(first, end)
        for number in chain(range(start, end), range(first, start)):
            if number not in self._out and number not in self._withheld:
                return number
        return None
