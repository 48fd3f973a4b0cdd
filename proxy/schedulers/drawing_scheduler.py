"""What the schedulers that draw at random have in common: one draw, made anew when the backends change.

Invariant: `draw` holds the usable backends and nothing else.
"""

from collections.abc import Collection
from random import Random
from typing import Self

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler
from proxy.schedulers.weighted_draw import WeightedDraw


class DrawingScheduler(Scheduler):
    """A scheduler that draws among the usable backends by weight."""

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.draw = WeightedDraw(())

    def rebuild(self) -> None:
        self.draw = WeightedDraw(self.usable)

    def copy(self) -> Self:
        other = super().copy()
        other.random = Random()
        other.random.setstate(self.random.getstate())
        other.draw = self.draw
        return other

    def draw_without(self, without: Collection[Backend]) -> WeightedDraw:
        """The draw, or one without some of its backends."""
        if not without:
            return self.draw
        return WeightedDraw([backend for backend in self.usable if backend not in without])
