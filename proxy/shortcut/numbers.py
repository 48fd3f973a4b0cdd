"""Numbers and stretches of numbers that are given out, and given out anew only after a while.

A program that reads a number just before it is put back may go on to use it for a moment. Invariant: what is put back
is not taken again before GRACE seconds have passed; the clock is an argument.
"""

from collections import deque

GRACE = 1.0
"""Seconds. A program runs for microseconds, so nobody still holds a number that was put back this long ago."""


class OutOfNumbersError(Exception):
    """There are no more."""


class Numbers:
    """Numbers from 0 up to a capacity."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._next = 0
        self._back: deque[tuple[float, int]] = deque()

    @property
    def used(self) -> int:
        """One more than the highest number that was ever taken."""
        return self._next

    def take(self, now: float) -> int:
        """Raises OutOfNumbersError."""
        if self._back and self._back[0][0] + GRACE <= now:
            return self._back.popleft()[1]
        if self._next == self._capacity:
            raise OutOfNumbersError
        self._next += 1
        return self._next - 1

    def put_back(self, number: int, now: float) -> None:
        """It may be taken again after GRACE."""
        self._back.append((now, number))


class Stretches:
    """Stretches of consecutive numbers, from 0 up to a capacity. They come in powers of two, so that what one had
    another can use."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._next = 0
        self._back: dict[int, deque[tuple[float, int]]] = {}

    def take(self, length: int, now: float) -> int:
        """The first number of a stretch of at least this length. Raises OutOfNumbersError."""
        size = _size(length)
        back = self._back.get(size)
        if back and back[0][0] + GRACE <= now:
            return back.popleft()[1]
        if self._next + size > self._capacity:
            raise OutOfNumbersError
        self._next += size
        return self._next - size

    def put_back(self, first: int, length: int, now: float) -> None:
        """The stretch that began there and was taken with this length may be taken again after GRACE."""
        self._back.setdefault(_size(length), deque()).append((now, first))


def _size(length: int) -> int:
    return 1 << max(0, length - 1).bit_length()
