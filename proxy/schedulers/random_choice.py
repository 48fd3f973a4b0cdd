"""random: a backend at random, in proportion to the weights.

Invariant: each usable backend has exactly weight / total as its chance; no state but the generator's.
"""

from collections.abc import Collection, Sequence

from proxy.schedulers.backend import Backend
from proxy.schedulers.drawing_scheduler import DrawingScheduler


class RandomChoice(DrawingScheduler):
    """Any usable backend, the heavier the likelier."""

    name = "random"

    def pick(self, key: int, now: float, without: Collection[Backend] = ()) -> Backend | None:
        draw = self.draw_without(without)
        if not draw.total:
            return None
        return draw.at(1 + self.random.randrange(draw.total))

    def foresee(self, key: int, now: float, without: Collection[Backend] = ()) -> Sequence[tuple[Backend, float]]:
        draw = self.draw_without(without)
        return [(backend, backend.weight / draw.total) for backend in draw.backends]
