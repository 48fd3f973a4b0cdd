"""Service ports that this node has no endpoint for although others have, and whose policy keeps traffic here.

Invariant: a Service port counts once for each of the two policies, however many addresses it has (kube-proxy,
sync_proxy_rules_no_local_endpoints_total).
"""

from collections.abc import Iterable
from typing import NamedTuple

from proxy.plan.frontend import Frontend
from proxy.plan.service_addresses import AddressKind


class LocalGaps(NamedTuple):
    """How many Service ports lack a local endpoint, by the policy that asks for one."""

    internal: int
    external: int


def local_gaps(frontends: Iterable[Frontend]) -> LocalGaps:
    """Count them among frontends; a pool is one Service port in one family."""
    internal: set[str] = set()
    external: set[str] = set()
    for frontend in frontends:
        if frontend.when_empty == "drop":
            (internal if frontend.kind == AddressKind.CLUSTER_IP.value else external).add(frontend.pool)
    return LocalGaps(len(internal), len(external))
