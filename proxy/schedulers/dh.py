"""dh: the address that was asked for chooses (net/netfilter/ipvs/ip_vs_dh.c).

Invariant: weights count only as 0 or not 0, and one destination address means one backend, so a Service with one
address uses one: this is what the scheduler means.
"""

from proxy.schedulers.backend import Backend
from proxy.schedulers.round_table import RoundTableScheduler
from proxy.schedulers.scheduler import KeyedBy


class DestinationHash(RoundTableScheduler):
    """By destination address; each backend owns one bucket a round."""

    name = "dh"
    keyed_by = KeyedBy.DESTINATION

    def share(self, backend: Backend) -> int:
        return 1
