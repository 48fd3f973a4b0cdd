"""Which addresses are this machine's own: those of its interfaces, its loopback range and the routed service ranges.

Invariant: `has` is asked for every endpoint, so an address of another machine costs one comparison of text.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import msgspec

LOOPBACK = ("127.0.0.0/8", "::1/128")
_Network = IPv4Network | IPv6Network


class LocalAddresses(msgspec.Struct, frozen=True):
    """`addresses` are canonical, `ranges` are CIDRs; loopback is local without being named."""

    addresses: frozenset[str] = frozenset()
    ranges: tuple[str, ...] = ()

    def sources(self) -> tuple[str, ...]:
        """The CIDRs that packets of this machine come from, sorted. Who asks a routed address comes from it, too."""
        whole = (f"{each}/{128 if ':' in each else 32}" for each in self.addresses)
        return tuple(sorted({*LOOPBACK, *self.ranges, *whole}))

    def lookup(self) -> "LocalLookup":
        """The form that answers quickly."""
        return LocalLookup(self.addresses, (*LOOPBACK, *self.ranges))


class LocalLookup:
    """Answers whether a canonical address is local."""

    def __init__(self, addresses: frozenset[str], ranges: Iterable[str]) -> None:
        networks = [ip_network(cidr) for cidr in ranges]
        self._addresses = addresses.union(str(each[0]) for each in networks if each.num_addresses == 1)
        # What an address in a range begins with. Of whole octets, as with 127/8, that says all; else an address that
        # begins so is parsed, and nearly every other address begins otherwise.
        self._whole = tuple(_beginning(network) for network in networks if _is_whole(network))
        self._networks = [each for each in networks if each.num_addresses > 1 and not _is_whole(each)]
        self._beginnings = tuple(_beginning(network) for network in self._networks)

    def has(self, address: str) -> bool:
        """Whether packets to the address stay on this machine."""
        if address in self._addresses or address.startswith(self._whole):
            return True
        if not address.startswith(self._beginnings):
            return False
        parsed = ip_address(address)
        return any(parsed in network for network in self._networks)


def _is_whole(network: _Network) -> bool:
    return network.version == 4 and network.prefixlen in (8, 16, 24)


def _beginning(network: _Network) -> str:
    """The text that every canonical address of the network begins with, as far as whole groups go."""
    if isinstance(network, IPv4Network):
        octets = str(network.network_address).split(".")[: network.prefixlen // 8]
        return "".join(f"{octet}." for octet in octets)
    return "".join(f"{group}:" for group in _leading_groups(network))


def _leading_groups(network: IPv6Network) -> Iterator[str]:
    """The groups before the first zero, which may be shortened away."""
    groups = network.network_address.exploded.split(":")[: network.prefixlen // 16]
    for group in groups[:7]:
        if group == "0000":
            return
        yield f"{int(group, 16):x}"
