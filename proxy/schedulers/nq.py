"""nq: never queue while a backend is idle (net/netfilter/ipvs/ip_vs_nq.c).

Invariant: stateless; an idle backend of any weight goes before a busy one of any other.
"""

from collections.abc import Collection

from proxy.schedulers.backend import Backend
from proxy.schedulers.load import shortest_expected_delay
from proxy.schedulers.scheduler import Scheduler


class NeverQueue(Scheduler):
    """The first usable backend without an active connection, whatever its weight; else as sed."""

    name = "nq"
    uses_counts = True

    def pick(self, key: int, now: float, without: Collection[Backend] = ()) -> Backend | None:
        for backend in self.usable:
            if not backend.active and backend not in without:
                return backend
        return shortest_expected_delay(self.usable, without)
