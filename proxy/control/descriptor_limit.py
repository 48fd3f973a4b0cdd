"""How many file descriptors the process may open, and what they are for.

Invariant: what the control process needs for itself (health, admin, names, the embedded API, files that it reads) is
set aside before the data plane gets any, and is enough for all that it may open at a time.
"""

import os
import resource

import msgspec

from proxy.dns.settings import USUAL_BOUNDS as USUAL_DNS_BOUNDS
from proxy.dns.settings import DNSBounds
from proxy.serving.bounded_connections import USUAL_BOUNDS, HTTPBounds, descriptors_of

LISTENING_SHARE = 0.9
"""Of all descriptors, so many may be listening sockets and what was open before them."""

# The control process's users: each has its share of the descriptors, as many as it can use where there are plenty, and
# enough to answer at all where there are few.
_FILES_SHARE, _FEWEST_FILES, _MOST_FILES = 1 / 16, 4, 36
"""Manifests, state, watches of a cluster, looks into /proc: what comes and goes."""
_HEALTH_SHARE, _FEWEST_OF_HEALTH = 1 / 64, 2
_ADMIN_SHARE, _FEWEST_OF_ADMIN = 1 / 16, 4
_API_SHARE, _FEWEST_OF_API = 1 / 16, 4
_DNS_SHARE, _FEWEST_OF_DNS = 1 / 32, 2


class DescriptorBudget(msgspec.Struct, frozen=True):
    """`limit` is how many a process may open. Of these `reserve` are the control process's, and of those its servers
    take no more than their bounds say."""

    limit: int
    reserve: int
    bounds: HTTPBounds
    names: DNSBounds

    def data_plane(self) -> int:
        """What is left after the descriptors that are open now and the reserve; at least two."""
        return max(2, self.limit - len(os.listdir("/proc/self/fd")) - self.reserve)

    @property
    def listening(self) -> int:
        """The number below which a listening socket's descriptor must be."""
        return min(int(self.limit * LISTENING_SHARE), self.limit - self.reserve)

    def health_checks(self, *, shared: bool) -> int:
        """The number below which the descriptor of a health check's port must be. A data plane that shares the limit
        may have taken all that is not set aside; until it has given way, they are of the reserve, half at most."""
        return self.limit - self.reserve // 2 if shared else self.listening


def raise_limit() -> int:
    """Raise the soft limit to the hard one, which needs no privilege; gives the limit in force."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 30


def descriptor_budget(limit: int, *, standalone: bool = False, names: bool = False) -> DescriptorBudget:
    """What becomes of so many descriptors. A `standalone` proxy has an API with clients of its own; `names` is whether
    it answers DNS."""
    bounds = HTTPBounds(
        health=_share(limit, _HEALTH_SHARE, _FEWEST_OF_HEALTH, USUAL_BOUNDS.health),
        admin=_share(limit, _ADMIN_SHARE, _FEWEST_OF_ADMIN, USUAL_BOUNDS.admin),
        api=_share(limit, _API_SHARE, _FEWEST_OF_API, USUAL_BOUNDS.api) if standalone else 0,
    )
    dns = DNSBounds(
        connections=_share(limit, _DNS_SHARE, _FEWEST_OF_DNS, USUAL_DNS_BOUNDS.connections),
        exchanges=_share(limit, _DNS_SHARE, _FEWEST_OF_DNS, USUAL_DNS_BOUNDS.exchanges),
    )
    reserve = _share(limit, _FILES_SHARE, _FEWEST_FILES, _MOST_FILES)
    # healthCheckNodePorts have as many connections as the health address.
    reserve += 2 * descriptors_of(bounds.health) + descriptors_of(bounds.admin)
    reserve += descriptors_of(bounds.api) if standalone else 0
    reserve += dns.descriptors if names else 0
    return DescriptorBudget(limit, reserve, bounds, dns)


def _share(limit: int, share: float, fewest: int, most: int) -> int:
    return max(fewest, min(most, int(limit * share)))
