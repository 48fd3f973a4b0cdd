"""sh: the client's address chooses (net/netfilter/ipvs/ip_vs_sh.c).

Invariant: while the pool stays as it is, a client always meets the same backend, whatever its port; a backend drained
to weight 0 keeps a bucket, and the clients of that bucket are refused.
"""

from proxy.schedulers.backend import Backend
from proxy.schedulers.round_table import RoundTableScheduler
from proxy.schedulers.scheduler import KeyedBy


class SourceHash(RoundTableScheduler):
    """By source address; each backend owns buckets in proportion to its weight."""

    name = "sh"
    keyed_by = KeyedBy.SOURCE

    def share(self, backend: Backend) -> int:
        return backend.weight
