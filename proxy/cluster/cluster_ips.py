"""ClusterIPs of one family, given out as the API server's allocator gives them.

Invariant: no address is out twice; the range is never materialised; the first address belongs to the Service
default/kubernetes and the tenth, where cluster DNS lives, is given only by name.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from random import Random

from proxy.cluster.allocation_error import AlreadyAllocatedError, OutsideRangeError
from proxy.cluster.number_pool import NumberPool

SHORTEST_IPV6_PREFIX = 64
_KUBERNETES = 0
_DNS = 9


class ClusterIPAllocator:
    """The addresses of `cidr` without its network address and, in IPv4, without its broadcast address.

    Bands as pkg/registry/core/service/ipallocator (KEP-3070). Raises ValueError for what is no service range.
    """

    def __init__(self, cidr: str, random: Random) -> None:
        network = ip_network(cidr)
        if network.version == 6 and network.prefixlen < SHORTEST_IPV6_PREFIX:
            raise ValueError(
                f"{cidr}: an IPv6 service range must have a prefix of at least {SHORTEST_IPV6_PREFIX} bits"
            )
        hosts = network.num_addresses - (2 if network.version == 4 else 1)
        if hosts < 1:
            raise ValueError(f"{cidr}: a service range must have room for an address")
        self.cidr = str(network)
        self.family = f"IPv{network.version}"
        self._network = network
        self._base = int(network.network_address) + 1
        self._hosts = hosts
        withheld = frozenset((_KUBERNETES, _DNS))
        self._pool = NumberPool(hosts, static_band(network.num_addresses), random, withheld)
        self._pool.take(_KUBERNETES)

    @property
    def kubernetes_address(self) -> str:
        """The first address, which is never free: it belongs to the Service default/kubernetes."""
        return self._address(_KUBERNETES)

    def allocate(self) -> str:
        """A free address; raises RangeFullError."""
        return self._address(self._pool.allocate())

    def reserve(self, address: str) -> None:
        """Take `address`, of either band; raises OutsideRangeError or AlreadyAllocatedError."""
        if not self._pool.take(self._number(address)):
            raise AlreadyAllocatedError("provided IP is already allocated")

    def release(self, address: str) -> None:
        """Take `address` back; the first address stays with default/kubernetes."""
        number = self._number(address)
        if number != _KUBERNETES:
            self._pool.release(number)

    def _address(self, number: int) -> str:
        value = self._base + number
        return str(IPv4Address(value) if self._network.version == 4 else IPv6Address(value))

    def _number(self, address: str) -> int:
        parsed = ip_address(address)
        if parsed not in self._network:
            raise OutsideRangeError("the provided network does not match the current range")
        number = int(parsed) - self._base
        if not 0 <= number < self._hosts:
            raise OutsideRangeError(
                f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {self.cidr}"
            )
        return number


def static_band(addresses: int) -> int:
    """How many addresses at the start of a range of `addresses` are spared for explicit requests."""
    return 0 if addresses <= 16 else min(max(16, addresses // 16), 256)
