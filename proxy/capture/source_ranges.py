"""Whether loadBalancerSourceRanges let a client in, as the filter on the socket decides it.

Pure. Invariant: says yes to a client if, and only if, the program made from the same ranges
lets its packets through.
"""

import ipaddress
from collections.abc import Iterator, Sequence


def admitted(source_ranges: Sequence[str], client: str) -> bool | None:
    """Whether a client is let in; None where there are ranges and no client (empty) to compare with them."""
    if not source_ranges:
        return True
    if not client:
        return None
    address = ipaddress.ip_address(client.partition("%")[0])
    return any(address in ipaddress.ip_network(each.strip(), strict=False) for each in source_ranges)


def in_common(first: Sequence[str], second: Sequence[str]) -> tuple[str, ...]:
    """CIDRs of the addresses that are in both."""
    return tuple(dict.fromkeys(str(each) for each in _overlaps(_networks(first), _networks(second))))


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(cidrs: Sequence[str]) -> list[_Network]:
    return [ipaddress.ip_network(each.strip(), strict=False) for each in cidrs]


def _overlaps(first: Sequence[_Network], second: Sequence[_Network]) -> Iterator[_Network]:
    """Of two networks that overlap, one is within the other."""
    for one in first:
        for other in second:
            if one.version == other.version and one.overlaps(other):
                yield max(one, other, key=lambda each: each.prefixlen)
