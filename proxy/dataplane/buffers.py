"""How many bytes the relays of one worker hold for readers that are slower than their writers.

Invariant: `is_scarce` and `is_full` are what `held` and `capacity` say. While it is full a direction reads so little at
a time that what all of them can add stays small, and nobody waits for a reader that never reads.
"""


class Buffers:
    """`capacity` and `held` are bytes; what lies in pipes counts as well. From half of the capacity on, `is_scarce`,
    nobody reads more at a time than before; `is_full` says that all of it is held."""

    __slots__ = ("capacity", "held", "is_full", "is_scarce")

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.held = 0
        # Read with every message; a property would be a call.
        self.is_full = False
        self.is_scarce = False

    def change(self, difference: int) -> None:
        """So many bytes are held more, or fewer."""
        self.held += difference
        self.is_scarce = self.held * 2 >= self.capacity
        self.is_full = self.held >= self.capacity
