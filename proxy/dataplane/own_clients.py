"""Clients of this machine at a frontend that has another pool for them: policy Local is for everybody else.

Invariant: who counts as one is decided by the address alone, so that a client always meets the same pool.
"""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from proxy.dataplane.lazy_pool import LazyPool


class OwnClients:
    """`sources` are the CIDRs that they come from, `pool` is theirs."""

    __slots__ = ("_addresses", "_networks", "pool")

    def __init__(self, pool: LazyPool, sources: Sequence[str]) -> None:
        networks = [ip_network(each) for each in sources]
        self.pool = pool
        self._addresses = frozenset(str(each[0]) for each in networks if each.num_addresses == 1)
        self._networks = tuple(each for each in networks if each.num_addresses > 1)

    def pool_of(self, client: str, otherwise: LazyPool) -> LazyPool:
        """The pool of a client, which may be none of these. `client` is an address without port."""
        if client in self._addresses:
            return self.pool
        address = ip_address(client.partition("%")[0])
        return self.pool if any(address in each for each in self._networks) else otherwise
