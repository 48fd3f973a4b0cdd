"""Percentile of a sorted list.

Imports the standard library. Invariant: the answer is one of the values, never an interpolation.
"""

import math


def percentile(ordered: list[float], share: float) -> float:
    """The nearest-rank percentile, `share` from 0 to 1, of a sorted list. Raises ValueError if it is empty."""
    if not ordered:
        raise ValueError("no values to take a percentile of")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
