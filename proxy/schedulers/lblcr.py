"""lblcr: locality-based least connection with replication (net/netfilter/ipvs/ip_vs_lblcr.c).

As lblc, but a destination keeps a set of backends that grows while its members are overloaded and loses its most loaded
member once a day. Invariant: no set holds a backend that left.
"""

from collections.abc import Collection
from random import Random
from typing import Self

from proxy.schedulers.backend import Backend
from proxy.schedulers.destination_cache import LIFETIME, DestinationCache
from proxy.schedulers.load import is_overloaded, least_loaded, most_loaded
from proxy.schedulers.scheduler import KeyedBy, Scheduler


class ReplicaSet:
    """The backends of one destination, newest first, and when (monotonic seconds) the set last changed."""

    __slots__ = ("backends", "changed")

    def __init__(self, backends: list[Backend], now: float) -> None:
        self.backends = backends
        self.changed = now

    def copy(self) -> "ReplicaSet":
        return ReplicaSet(self.backends.copy(), self.changed)

    def add(self, backend: Backend, now: float) -> None:
        if backend not in self.backends:
            self.backends.insert(0, backend)
            self.changed = now

    def shrink(self, now: float) -> None:
        """Drop the most loaded member of a set of several that has not changed for a day."""
        if len(self.backends) > 1 and now - self.changed > LIFETIME:
            most = most_loaded(self.backends)
            if most is not None:
                self.backends.remove(most)
                self.changed = now


class LocalityLeastConnectionReplicated(Scheduler):
    """The least loaded of the backends this destination uses, unless overloaded; else as wlc, added to its set."""

    name = "lblcr"
    keyed_by = KeyedBy.DESTINATION
    uses_counts = True
    uses_inactive = True

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self.cache: DestinationCache[ReplicaSet] = DestinationCache()

    def rebuild(self) -> None:
        present = set(self.destinations)
        for replicas in self.cache.choices():
            replicas.backends = [backend for backend in replicas.backends if backend in present]

    def copy(self) -> Self:
        other = super().copy()
        other.cache = self.cache.copy(ReplicaSet.copy)
        return other

    def pick(self, key: int, now: float, without: Collection[Backend] = ()) -> Backend | None:
        replicas = self.cache.get(key, now)
        if replicas is not None:
            member = least_loaded((backend for backend in replicas.backends if backend.weight > 0), without)
            replicas.shrink(now)
            if member is not None and not is_overloaded(member, self.usable):
                return member
        chosen = least_loaded(self.usable, without)
        if chosen is None:
            return None
        if replicas is None:
            self.cache.put(key, ReplicaSet([chosen], now), now)
        else:
            replicas.add(chosen, now)
        return chosen
