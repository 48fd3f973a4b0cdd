"""twos: the better of two random choices (net/netfilter/ipvs/ip_vs_twos.c; Mitzenmacher 2001).

Invariant: both marks are drawn from 0 to the total weight inclusive, as the kernel draws them, which favours the first
in list order by 1 part in the total.
"""

from collections.abc import Collection, Sequence
from fractions import Fraction

from proxy.schedulers.backend import Backend
from proxy.schedulers.drawing_scheduler import DrawingScheduler
from proxy.schedulers.load import overhead


class TwoChoices(DrawingScheduler):
    """Of two usable backends drawn by weight, the one with less overhead for its weight; ties keep the first."""

    name = "twos"
    uses_counts = True
    uses_inactive = True

    def pick(self, key: int, now: float, without: Collection[Backend] = ()) -> Backend | None:
        draw = self.draw_without(without)
        if not draw.total:
            return None
        first = draw.at(self.random.randrange(draw.total + 1))
        second = draw.at(self.random.randrange(draw.total + 1))
        return second if second.weight * overhead(first) > first.weight * overhead(second) else first

    def foresee(self, key: int, now: float, without: Collection[Backend] = ()) -> Sequence[tuple[Backend, float]]:
        """Each backend is chosen when it is drawn first and the second is not better, or second and the first is
        worse."""
        draw = self.draw_without(without)
        marks = draw.total + 1
        drawn = [(backend, (backend.weight + (not place)) / marks) for place, backend in enumerate(draw.backends)]
        loads = [(Fraction(overhead(backend), backend.weight), chance) for backend, chance in drawn]
        better, worse = _chance_below(loads), _chance_below([(-load, chance) for load, chance in loads])
        return [
            (backend, chance * (1 - better[load] + worse[-load]))
            for (backend, chance), (load, _) in zip(drawn, loads, strict=True)
        ]


def _chance_below(loads: Sequence[tuple[Fraction, float]]) -> dict[Fraction, float]:
    """For each load, the chance that a draw gives a smaller one."""
    below: dict[Fraction, float] = {}
    sum_so_far = 0.0
    for load, chance in sorted(loads):
        below.setdefault(load, sum_so_far)
        sum_so_far += chance
    return below
