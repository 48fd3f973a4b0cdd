"""fo: weighted failover (net/netfilter/ipvs/ip_vs_fo.c).

Invariant: `heaviest_first` keeps list order among equal weights.
"""

from collections.abc import Collection
from random import Random
from typing import Self

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler


class Failover(Scheduler):
    """The usable backend of the highest weight; the next one only when that cannot be used."""

    name = "fo"

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
            if backend not in without:
                return backend
        return None
