"""What becomes of a client of one address and port, and the socket slot that says so.

Invariant: a slot without a socket refuses, as a port on which nobody listens does, so that REFUSED needs no socket and
closing the sockets refuses everybody.
"""

import enum
import socket

_PER_KIND = 4
_KINDS = (
    ("TCP", socket.AF_INET),
    ("TCP", socket.AF_INET6),
    ("UDP", socket.AF_INET),
    ("UDP", socket.AF_INET6),
)

SLOTS = _PER_KIND * len(_KINDS)
"""How many slots there are."""


class Verdict(enum.IntEnum):
    """SPREAD over the workers by address and port of the client, STEERED to a worker by its address alone; REFUSED:
    ECONNREFUSED; IGNORED: silence."""

    SPREAD = 0
    STEERED = 1
    REFUSED = 2
    IGNORED = 3


def slot_of(protocol: str, family: socket.AddressFamily, verdict: Verdict) -> int:
    """The number of the slot of "TCP" or "UDP", AF_INET or AF_INET6."""
    return _KINDS.index((protocol, family)) * _PER_KIND + verdict
