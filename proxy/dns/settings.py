"""DNS settings: where names are answered, for which zone, and who is asked about everything else.

Invariant: `zone` is lower case, without a dot at its end, and short enough for every name that
the specification puts below it.
"""

from typing import Literal, NamedTuple

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


_SHORTEST_BACKLOG, _LONGEST_BACKLOG = 2, 64
_PLACES = 2
"""Addresses that names are answered on, one a family."""


class DNSBounds(NamedTuple):
    """How many connections clients may have in all, and how many questions may be with upstream servers at a time."""

    connections: int = 128
    exchanges: int = 100

    @property
    def descriptors(self) -> int:
        """How many there may be for a moment, those of listening sockets included: a turn of the loop accepts what
        waits, and only the next one closes."""
        return 2 * _PLACES + self.connections + backlog_of(self.connections) + self.exchanges


USUAL_BOUNDS = DNSBounds()


def backlog_of(connections: int) -> int:
    """How many clients may wait to be accepted where there are so many connections."""
    return max(_SHORTEST_BACKLOG, min(connections, _LONGEST_BACKLOG))
