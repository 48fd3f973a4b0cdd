"""DNS settings: where names are answered, for which zone, and who is asked about everything else.

Imports nothing of ours. Invariant: `zone` is lower case, without a dot at its end, and short enough for every name that
the specification puts below it.
"""

from typing import Literal

import msgspec

SocketAddress = tuple[str, int]


class DNSSettings(msgspec.Struct, frozen=True, rename="camel"):
    """The key `dns` of the configuration."""

    bind_address: SocketAddress | Literal["auto", "off"] = "auto"
    """Where names are answered. "auto" is the tenth address of each service range, on port 53 where that is permitted
    and free and on 10053 otherwise, and "off" where a cluster is followed, since that has its own DNS."""
    zone: str = "cluster.local"
    """The cluster's domain."""
    ttl: int = 5
    """Seconds for which an answer may be kept."""
    upstream: tuple[SocketAddress, ...] | Literal["system", "none"] = "system"
    """Who is asked about other zones: addresses, "system" for those in /etc/resolv.conf, "none" to refuse."""
