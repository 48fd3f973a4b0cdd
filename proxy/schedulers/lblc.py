"""lblc: locality-based least connection (net/netfilter/ipvs/ip_vs_lblc.c).

The destination is the address the client asked for, so a Service of one address uses one backend until that one is
overloaded: this is what the scheduler means. Invariant: the cache holds no backend that left.
"""

from collections.abc import Collection
from random import Random
from typing import Self

from proxy.schedulers.backend import Backend
from proxy.schedulers.destination_cache import DestinationCache
from proxy.schedulers.load import is_overloaded, least_loaded
from proxy.schedulers.scheduler import KeyedBy, Scheduler


class LocalityLeastConnection(Scheduler):
    """The backend this destination used before, unless it is unusable or overloaded; else as wlc, and remembered."""

    name = "lblc"
    keyed_by = KeyedBy.DESTINATION
    uses_counts = True
    uses_inactive = True

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.cache: DestinationCache[Backend] = DestinationCache()

    def rebuild(self) -> None:
        present = set(self.destinations)
        self.cache.discard(lambda backend: backend not in present)

    def copy(self) -> Self:
        other = super().copy()
        other.cache = self.cache.copy(lambda backend: backend)
        return other

    def pick(self, key: int, now: float, without: Collection[Backend] = ()) -> Backend | None:
        cached = self.cache.get(key, now)
        if (
            cached is not None
            and cached.weight > 0
            and cached not in without
            and not is_overloaded(cached, self.usable)
        ):
            return cached
        chosen = least_loaded(self.usable, without)
        if chosen is not None:
            self.cache.put(key, chosen, now)
        return chosen
