"""Percentiles of a list, and the three that a benchmark tells.

Imports the standard library. Invariant: the answer is one of the values, never an interpolation.
"""

import math
from collections.abc import Sequence

SHARES = {"p50": 0.5, "p99": 0.99, "max": 1.0}
"""What is told of many latencies."""


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile, `share` from 0 to 1, of a sorted list. Raises ValueError if it is empty."""
    if not ordered:
        raise ValueError("no values to take a percentile of")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def milliseconds(seconds: Sequence[float]) -> str:
    """The three, in words."""
    ordered = sorted(seconds)
    return ", ".join(f"{name} {percentile(ordered, share) * 1e3:.2f} ms" for name, share in SHARES.items())
