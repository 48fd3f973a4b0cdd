"""Whether loadBalancerSourceRanges let a client in, as the filter on the socket decides it.

Imports nothing of ours. Pure. Invariant: says yes to a client if, and only if, the program made from the same ranges
lets its packets through.
"""

import ipaddress
from collections.abc import Sequence


def admitted(source_ranges: Sequence[str], client: str) -> bool | None:
    """Whether a client is let in; None where there are ranges and no client (empty) to compare with them."""
    if not source_ranges:
        return True
    if not client:
        return None
    address = ipaddress.ip_address(client.partition("%")[0])
    return any(address in ipaddress.ip_network(each.strip(), strict=False) for each in source_ranges)
