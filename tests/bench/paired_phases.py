"""Paired phases: a quiet phase beside one in which something goes on, many times, and what the pairs say together.

Imports msgspec and the rooms of arithmetic. Invariant: pure; a ratio is taken within a pair only, since whatever else
the machine does lasts longer than a pair as a rule and meets both phases; the median of them is the figure.
"""

import statistics
from collections.abc import Iterable, Sequence

import msgspec
from percentile import percentile
from sample import DISTURBED

MICROSECONDS = 1e6


class Latencies(msgspec.Struct, frozen=True):
    """Of one phase or several, in microseconds."""

    p50: float
    p99: float
    longest: float

    def __str__(self) -> str:
        return f"p50 {self.p50:.0f} us, p99 {self.p99:.0f} us, longest {self.longest:.0f} us"


class Phase(msgspec.Struct, frozen=True):
    """One phase. Shares are of one core: of all processes of the proxy, of the load, and of everything else on the
    machine. `wait` is how long the proxy's workers waited for their core whenever they had something to do, in
    microseconds."""

    latencies: Latencies
    wait: float
    proxy_share: float
    load_share: float
    others_share: float

    @property
    def is_disturbed(self) -> bool:
        """Something else on the machine took processor time."""
        return self.others_share >= DISTURBED


class Pair(msgspec.Struct, frozen=True):
    """A quiet phase and a busy one, one right after the other in either order."""

    quiet: Phase
    busy: Phase

    @property
    def ratio(self) -> float:
        """How many times the quiet p99 the other is."""
        return self.busy.latencies.p99 / self.quiet.latencies.p99


class Ratio(msgspec.Struct, frozen=True):
    """Of the p99s, over the pairs."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} times the quiet one (lowest {self.low:.2f}, highest {self.high:.2f})"


def latencies_of(seconds: Iterable[float]) -> Latencies:
    """The percentiles of latencies. Raises ValueError where there are none."""
    ordered = sorted(seconds)
    return Latencies(*(percentile(ordered, share) * MICROSECONDS for share in (0.5, 0.99, 1.0)))


def ratio_of(pairs: Sequence[Pair]) -> Ratio:
    """Over one pair at least."""
    ratios = [pair.ratio for pair in pairs]
    return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def disturbance_of(pairs: Sequence[Pair]) -> str:
    """How much of the machine others used, and a warning where that was too much to trust the latencies."""
    phases = [phase for pair in pairs for phase in (pair.quiet, pair.busy)]
    quiet, busy = (statistics.fmean(each.others_share for each in kind) for kind in _kinds(pairs))
    text = f"other processes used {quiet:.0%} of a core while it was quiet, {busy:.0%} while it was not"
    disturbed = sum(phase.is_disturbed for phase in phases)
    if not disturbed:
        return text
    return (
        f"WARNING: {text}; over {DISTURBED:.0%} in {disturbed} of {len(phases)} phases: the ratio's median is better "
        "than nothing, the latencies are not to be trusted; measure again on a quiet machine"
    )


def wait_of(pairs: Sequence[Pair]) -> str:
    """How long the workers waited for their core, in words."""
    quiet, busy = (statistics.median(each.wait for each in kind) for kind in _kinds(pairs))
    return f"a worker waited {quiet:.0f} us for its core, {busy:.0f} us while Services changed (mean, median of phases)"


def _kinds(pairs: Sequence[Pair]) -> tuple[list[Phase], list[Phase]]:
    return [pair.quiet for pair in pairs], [pair.busy for pair in pairs]
