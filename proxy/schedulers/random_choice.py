"""random: a backend at random, in proportion to the weights.

Imports only this room. Invariant: each usable backend has exactly weight / total as its chance; no state but the
generator's.
"""

from collections.abc import Collection
from random import Random

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler
from proxy.schedulers.weighted_draw import WeightedDraw


class RandomChoice(Scheduler):
    """Any usable backend, the heavier the likelier."""

    name = "random"

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.draw = WeightedDraw(())

    def rebuild(self) -> None:
        self.draw = WeightedDraw(self.usable)

    def pick(self, key: int, now: float, without: Collection[Backend] = ()) -> Backend | None:
        draw = self.draw
        if without:
            draw = WeightedDraw([backend for backend in self.usable if backend not in without])
        if not draw.total:
            return None
        return draw.at(1 + self.random.randrange(draw.total))
