"""lc: the fewest connections (net/netfilter/ipvs/ip_vs_lc.c).

Invariant: a strictly smaller overhead wins and a tie stays with the first in list order; weights count only as 0 or not
0.
"""

from collections.abc import Collection

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler


class LeastConnection(Scheduler):
    """The usable backend with the least 256 * active + inactive."""

    name = "lc"
    uses_counts = True
    uses_inactive = True

    def pick(self, key: int, now: float, without: Collection[Backend] = ()) -> Backend | None:
        least = None
        least_overhead = 0
        for backend in self.usable:
            overhead = (backend.active << 8) + backend.inactive
            if (least is None or overhead < least_overhead) and backend not in without:
                least, least_overhead = backend, overhead
                if not overhead:
                    break
        return least
