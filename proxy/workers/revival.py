"""When a worker is given up, and when another takes its place. Pure.

Invariant: silence is counted in looks, not in seconds, so a control process that was itself stopped for a minute does
not blame its workers. A worker that dies again and again is started less and less often.
"""

LOOKS = 5
"""Looks without a sign of life after which a worker is taken for hung."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
STEADY = 10.0
"""Seconds after which a worker that ran so long is started anew at once when it dies."""


class Silence:
    """Counts the looks at which a worker owed a sign of life and gave none since the look before; `most` of them in a
    row are too many."""

    def __init__(self, most: int = LOOKS) -> None:
        self._most = most
        self._signs = 0
        self._looks = 0

    def look(self, owed: bool, signs: int) -> bool:
        """Whether the worker is to be given up. `signs` is how many it has given in all."""
        self._looks = self._looks + 1 if owed and signs == self._signs else 0
        self._signs = signs
        return self._looks > self._most


def pause_after(before: float, lived: float, restarts: int) -> float:
    """Seconds to wait before the successor of a worker starts that lived so long and had itself waited `before`."""
    if lived >= STEADY or not restarts:
        return 0.0
    return min(LONGEST_PAUSE, before * 2 or FIRST_PAUSE)
