"""ovf: weighted overflow (net/netfilter/ipvs/ip_vs_ovf.c).

Invariant: a backend takes a new connection only while its active ones do not exceed its weight, so the weight is a
capacity and a full pool has no destination.
"""

from collections.abc import Collection
from random import Random
from typing import Self

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler


class Overflow(Scheduler):
    """The heaviest usable backend with active <= weight; the first in list order among equals."""

    name = "ovf"
    uses_counts = True

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.heaviest_first: list[Backend] = []

    def rebuild(self) -> None:
        self.heaviest_first = sorted(self.usable, key=lambda backend: -backend.weight)

    def copy(self) -> Self:
        other = super().copy()
        other.heaviest_first = self.heaviest_first
        return other

    def pick(self, key: int, now: float, without: Collection[Backend] = ()) -> Backend | None:
        for backend in self.heaviest_first:
            if backend.active <= backend.weight and backend not in without:
                return backend
        return None
