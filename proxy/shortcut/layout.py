"""The memory that the programs and this process share: what lies where.

Every offset is in bytes. Invariant: the programs and the tables use these names alone, so that a layout changes in one
place.
"""

import enum
import socket
import struct


class Rule(enum.IntEnum):
    """How a pool's slots are chosen from. TURN takes the next one (rr, wrr, fo), DRAW any one (random). SOURCE and
    DESTINATION hash an address as the kernel's sh and dh do. MAGLEV does so as mh does, and goes on to other slots
    where a weight is 0. TWO_DRAWS takes the less loaded of two (twos). The others walk all slots: LEAST by connections
    for a weight (lc, wlc), DELAY by the expected wait (sed), IDLE_FIRST the same unless one is idle (nq), FIRST_FREE
    the first below its weight (ovf)."""

    TURN = 0
    DRAW = 1
    SOURCE = 2
    DESTINATION = 3
    TWO_DRAWS = 4
    LEAST = 5
    DELAY = 6
    IDLE_FIRST = 7
    FIRST_FREE = 8
    MAGLEV = 9


class FrontendFlag(enum.IntFlag):
    """In a frontend's value. EMPTY_PASSES: without an endpoint the client goes to the listener, which may be silent.
    OWN_NAMESPACE: the address means something in this proxy's network namespace alone."""

    EMPTY_PASSES = 1
    OWN_NAMESPACE = 2


OWN_NAMESPACE_POOL = 1
"""The flag of a pool whose endpoints are loopback addresses of this proxy's network namespace."""

FRONTEND_KEY_SIZE = 20
"""Address (16 bytes, IPv4 in the first four), port in network order, protocol, family."""
FRONTEND_VALUE_SIZE = 8
"""Pool number, flags."""


class PoolField(enum.IntEnum):
    """A pool. IN_FORCE is the first slot and, in the upper half, how many: one store changes both."""

    IN_FORCE = 0
    RULE = 8
    HASH_BITS = 9
    FLAGS = 12
    AFFINITY_NANOSECONDS = 16
    TURN = 24
    REFUSED = 32
    CHOSEN = 40
    HITS = 48
    MISSES = 56
    AFFINITY_GROUP = 64
    SIZE = 72


SLOT_SIZE = 8
"""An endpoint's number, and in the upper half its weight."""


class EndpointField(enum.IntEnum):
    """An endpoint. GENERATION is 0 once it has gone, and other whenever the number is in use again: no client is bound
    to what it was before."""

    ADDRESS = 0
    PORT = 16
    FAMILY = 18
    GENERATION = 20
    SIZE = 24


class CountField(enum.IntEnum):
    """What the programs count of an endpoint. OPEN are connections that no side has ended. INACTIVE are all that ever
    ceased to be that, or never were, as UDP's. CLOSED are those of INACTIVE that are over, RESETS those of CLOSED that
    a reset ended.

    This process alone writes ELSEWHERE (what the relay has open), INACTIVE_ELSEWHERE (signed: what is inactive in the
    relay, less what has been inactive here for long enough) and GENERATION (4 bytes: other for each endpoint that has
    had the number, and the same for one that returns while anything is counted)."""

    OPEN = 0
    OPENED = 8
    FAILED = 16
    TO_CLIENT = 24
    FROM_CLIENT = 32
    CLOSED = 40
    INACTIVE = 48
    RESETS = 56
    ELSEWHERE = 64
    INACTIVE_ELSEWHERE = 72
    GENERATION = 80
    SIZE = 88


class ConfigField(enum.IntEnum):
    """The one value of the configuration. OWN_NAMESPACE is the cookie of this proxy's network namespace. A BEAT that is
    older than BEAT_LIMIT (nanoseconds, 0 for no limit) sends every client to the listeners. FAILURES counts connects
    that failed, and is the next place in the ring of failures."""

    OWN_NAMESPACE = 0
    BEAT = 8
    BEAT_LIMIT = 16
    FAILURES = 24
    SIZE = 32


FAILURE_RING = 4096
"""Places of the ring of endpoints whose connects failed: the number and, in the upper half, the generation."""

AFFINITY_KEY_SIZE = 24
"""Affinity group, what the client is (an address family, or 0 for a namespace), and the client (16 bytes)."""
AFFINITY_VALUE_SIZE = 16
"""Endpoint, generation, when it was used last (monotonic nanoseconds)."""

FLOW_KEY_SIZE = 32
"""Socket cookie, frontend key, 4 zeros: what an unconnected socket sends to a frontend."""
FLOW_VALUE_SIZE = 16
"""As in the affinity table."""

REVERSE_KEY_SIZE = 32
"""Socket cookie, an endpoint's address and port, 6 zeros."""
REVERSE_VALUE_SIZE = 20
"""The address and port that the socket had asked for, 2 zeros."""


class Counted(enum.IntEnum):
    """How a socket is counted at its endpoint."""

    NOT = 0
    OPEN = 1
    INACTIVE = 2


class PeerField(enum.IntEnum):
    """What is kept with a socket that was connected through the shortcut: the frontend and the endpoint. GENERATION is
    that of the endpoint's counts. COUNTED
    is how the socket is counted, a Counted."""

    FRONTEND_ADDRESS = 0
    FRONTEND_PORT = 16
    FAMILY = 18
    COUNTED = 19
    ENDPOINT = 20
    GENERATION = 24
    POOL = 28
    ENDPOINT_ADDRESS = 32
    ENDPOINT_PORT = 48
    SIZE = 56


LOCAL_KEY_SIZE = 20
"""An address (16 bytes) and its family (4 bytes)."""
LOCAL_VALUE_SIZE = 4

_PROTOCOLS = {"TCP": socket.IPPROTO_TCP, "UDP": socket.IPPROTO_UDP}


def family_of(address: str) -> socket.AddressFamily:
    """AF_INET or AF_INET6."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def packed(address: str) -> bytes:
    """An address in 16 bytes; an IPv4 one is in the first four."""
    return socket.inet_pton(family_of(address), address).ljust(16, b"\0")


def frontend_key(protocol: str, address: str, port: int) -> bytes:
    """The key of a frontend of "TCP" or "UDP"."""
    return packed(address) + struct.pack(">H", port) + bytes((_PROTOCOLS[protocol], family_of(address)))


def local_key(address: str) -> bytes:
    """The key of an address of this machine."""
    return packed(address) + struct.pack("=I", family_of(address))
