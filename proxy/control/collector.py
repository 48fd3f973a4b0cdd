"""The garbage collector's pace: while the first state grows, and when it is there.

Invariant: what came with the imports and the first state is never looked at again, neither while it grows (nearly all
of it stays, so looking costs a third of the start of a large cluster) nor later.
"""

import gc

_WHILE_GROWING = (100_000, 50, 100)
_ORDINARY = gc.get_threshold()


def expect_growth() -> None:
    """Much will come that stays, and what the imports brought stays, too."""
    gc.freeze()
    gc.set_threshold(*_WHILE_GROWING)


def settle() -> None:
    """What is here now stays; from now on most of what comes goes soon."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_ORDINARY)
