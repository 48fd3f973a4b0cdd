"""twos: the better of two random choices (net/netfilter/ipvs/ip_vs_twos.c; Mitzenmacher 2001).

Imports only this room. Invariant: both marks are drawn from 0 to the total weight inclusive, as the kernel draws them,
which favours the first in list order by 1 part in the total.
"""

from collections.abc import Collection

from proxy.schedulers.backend import Backend
from proxy.schedulers.drawing_scheduler import DrawingScheduler
from proxy.schedulers.load import overhead


class TwoChoices(DrawingScheduler):
    """Of two usable backends drawn by weight, the one with less overhead for its weight; ties keep the first."""

    name = "twos"

    def pick(self, key: int, now: float, without: Collection[Backend] = ()) -> Backend | None:
        draw = self.draw_without(without)
        if not draw.total:
            return None
        first = draw.at(self.random.randrange(draw.total + 1))
        second = draw.at(self.random.randrange(draw.total + 1))
        return second if second.weight * overhead(first) > first.weight * overhead(second) else first
