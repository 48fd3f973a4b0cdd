"""wlc: the fewest connections for the weight (net/netfilter/ipvs/ip_vs_wlc.c).

Invariant: stateless; while every backend is idle the choice is always the first in list order.
"""

from collections.abc import Collection

from proxy.schedulers.backend import Backend
from proxy.schedulers.load import least_loaded
from proxy.schedulers.scheduler import Scheduler


class WeightedLeastConnection(Scheduler):
    """The usable backend with the least (256 * active + inactive) / weight."""

    name = "wlc"
    uses_counts = True
    uses_inactive = True

    def pick(self, key: int, now: float, without: Collection[Backend] = ()) -> Backend | None:
        return least_loaded(self.usable, without)
