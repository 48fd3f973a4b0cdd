"""Record sets: what one name says.

Invariant: immutable, and a new one whenever anything in it changes, so that an answer holds for as long as its name has
the same record set.
"""

import msgspec

from proxy.dns.wire_name import WireName


class Target(msgspec.Struct, frozen=True, gc=False):
    """One SRV record (RFC 2782): `host` offers the service on `port`, and has these canonical `addresses`."""

    port: int
    weight: int
    host: WireName
    addresses: tuple[str, ...]


class RecordSet(msgspec.Struct, frozen=True, gc=False):
    """Records of one name; an empty one is a name that exists for the names below it, or lacks what was asked for.

    `addresses` are A and AAAA together, `alias` is the CNAME's target, beside which there is nothing else.
    """

    addresses: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    pointers: tuple[WireName, ...] = ()
    alias: WireName = b""
    text: str = ""


EMPTY = RecordSet()
