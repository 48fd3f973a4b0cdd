"""Steps: work that is done in turns, so that a worker's clients wait for a piece of it and not for all.

Invariant: a piece is what lies between two steps, and takes a fraction of a millisecond; whoever does the work decides
after how many pieces others have their turn.
"""

from collections.abc import Iterable
from typing import Final

Steps = Iterable[None]
"""Nothing is done until it is iterated over, and all of it when that ends. Between two steps anything may happen."""

DONE: Final[Steps] = ()
"""Of what was done at once."""


def take_all(steps: Steps) -> None:
    """Do it at once."""
    for _ in steps:
        pass
