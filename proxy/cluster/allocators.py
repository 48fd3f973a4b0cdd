"""The allocators of one cluster, and what one Service takes from them, all or nothing.

Invariant: after `undo` the allocators are as they were before the reservation; what the Service held already is never
taken twice and never undone.
"""

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import NamedTuple

from proxy.cluster.cluster_ips import ClusterIPAllocator
from proxy.cluster.ledger import Grant, no_grant
from proxy.cluster.node_ports import NodePortAllocator

KUBERNETES_SERVICE = ("default", "kubernetes")


class Allocators(NamedTuple):
    """`cluster_ips` maps a family to its allocator; the default family is the first key."""

    cluster_ips: Mapping[str, ClusterIPAllocator]
    node_ports: NodePortAllocator

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(self.cluster_ips)

    def release(self, grant: Grant) -> None:
        """Take back everything in `grant`."""
        for family, address in grant.cluster_ips.items():
            self.cluster_ips[family].release(address)
        for number in grant.numbers:
            self.node_ports.release(number)

    def hold(self, grant: Grant) -> None:
        """Take everything in `grant`, which nobody may have."""
        self.exchange(no_grant((grant.namespace, grant.name)), grant)

    def exchange(self, given: Grant, wanted: Grant) -> None:
        """Take back what only `given` has and take again what only `wanted` has, which nobody else may have."""
        addresses, numbers = set(given.cluster_ips.values()), given.numbers
        self.release(given.without(wanted))
        for family, address in wanted.cluster_ips.items():
            allocator = self.cluster_ips[family]
            if address not in addresses and address != allocator.kubernetes_address:
                allocator.reserve(address)
        for number in wanted.numbers - numbers:
            self.node_ports.reserve(number)


def allocators_for(ranges: Sequence[str], node_ports: tuple[int, int], random: Random) -> Allocators:
    """Allocators of the service ranges (one, or two of different families) and of the node ports first..last.

    Raises ValueError for anything else.
    """
    cluster_ips = [ClusterIPAllocator(cidr, random) for cidr in ranges]
    by_family = {allocator.family: allocator for allocator in cluster_ips}
    if not cluster_ips or len(by_family) < len(cluster_ips):
        raise ValueError("there must be one service range, or two of different IP families")
    return Allocators(by_family, NodePortAllocator(*node_ports, random=random))


class Reservation:
    """What one Service takes beyond what it holds."""

    def __init__(self, allocators: Allocators, held: Grant) -> None:
        self._allocators = allocators
        self._key = (held.namespace, held.name)
        self._held_addresses = frozenset(held.cluster_ips.values())
        self._held_ports = held.numbers
        self._undo: list[Callable[[], None]] = []

    def cluster_ip(self, family: str, wanted: str) -> str:
        """`wanted`, or any address of the family when that is empty; raises AllocationError."""
        allocator = self._allocators.cluster_ips[family]
        if self._key == KUBERNETES_SERVICE and wanted in ("", allocator.kubernetes_address):
            return allocator.kubernetes_address
        if wanted in self._held_addresses:
            return wanted
        address = wanted or allocator.allocate()
        if wanted:
            allocator.reserve(wanted)
        self._undo.append(lambda: allocator.release(address))
        return address

    def node_port(self, wanted: int) -> int:
        """`wanted`, or any port when that is 0; raises AllocationError."""
        if wanted in self._held_ports:
            return wanted
        allocator = self._allocators.node_ports
        port = wanted or allocator.allocate()
        if wanted:
            allocator.reserve(wanted)
        self._undo.append(lambda: allocator.release(port))
        return port

    def undo(self) -> None:
        """Give back what was taken."""
        for release in self._undo:
            release()
        self._undo.clear()
