"""sed: the shortest expected delay (net/netfilter/ipvs/ip_vs_sed.c).

Invariant: stateless; inactive connections do not count.
"""

from collections.abc import Collection

from proxy.schedulers.backend import Backend
from proxy.schedulers.load import shortest_expected_delay
from proxy.schedulers.scheduler import Scheduler


class ShortestExpectedDelay(Scheduler):
    """The usable backend with the least (active + 1) / weight."""

    name = "sed"
    uses_counts = True

    def pick(self, key: int, now: float, without: Collection[Backend] = ()) -> Backend | None:
        return shortest_expected_delay(self.usable, without)
