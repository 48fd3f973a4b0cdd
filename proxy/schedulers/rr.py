"""rr: each usable backend in turn (net/netfilter/ipvs/ip_vs_rr.c).

Invariant: `last` is the kernel's pointer, the backend used last or None for the list head, and `cursor` is the place in
`usable` right after it, so that a pick never searches.
"""

from collections.abc import Collection
from random import Random
from typing import Self

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler


class RoundRobin(Scheduler):
    """The next usable backend after the last used one, circular; weights count only as 0 or not 0."""

    name = "rr"

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.last: Backend | None = None
        self.order: list[Backend] = []
        self.cursor = 0

    def rebuild(self) -> None:
        self.last = self._nearest_survivor()
        self.order = self.destinations
        passed = 0 if self.last is None else self.order.index(self.last) + 1
        self.cursor = sum(weight > 0 for weight in self.weights[:passed])

    def copy(self) -> Self:
        other = super().copy()
        other.last, other.order, other.cursor = self.last, self.order, self.cursor
        return other

    def pick(self, key: int, now: float, without: Collection[Backend] = ()) -> Backend | None:
        usable = self.usable
        cursor = self.cursor
        if not without and usable:
            # With every connection, nearly always.
            if cursor >= len(usable):
                cursor = 0
            self.cursor = cursor + 1
            self.last = backend = usable[cursor]
            return backend
        for _ in usable:
            if cursor >= len(usable):
                cursor = 0
            backend = usable[cursor]
            cursor += 1
            if backend not in without:
                self.cursor = cursor
                self.last = backend
                return backend
        return None

    def _nearest_survivor(self) -> Backend | None:
        """The last used backend or, where it left, the one before it in the list it left."""
        if self.last is None:
            return None
        present = set(self.destinations)
        passed = self.order.index(self.last) + 1
        return next((backend for backend in reversed(self.order[:passed]) if backend in present), None)
