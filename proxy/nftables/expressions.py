"""The expressions of nf_tables that our rules are made of, as netlink attributes. Pure.

Numbers are those of include/uapi/linux/netfilter/nf_tables.h. Invariant: each function gives one list element of
NFTA_RULE_EXPRESSIONS.
"""

import struct

from proxy.nftables.attributes import attribute, nested, number, text
from proxy.nftables.family import Family

_LOCAL = struct.pack("=I", 2)  # RTN_LOCAL
_STATUS_DNAT = 1 << 5  # IPS_DST_NAT
_SCRATCH = 1  # NFT_REG_1, four words that no look-up of ours uses across rules
_FULLY_RANDOM = 0x10  # NF_NAT_RANGE_PROTO_RANDOM_FULLY
_GOTO = -4 & 0xFFFFFFFF
_RETURN = -5 & 0xFFFFFFFF


def network_header(register: int, offset: int, length: int) -> bytes:
    return _payload(register, 1, offset, length)


def destination_port(register: int) -> bytes:
    return _payload(register, 2, 2, 2)


def protocol(register: int) -> bytes:
    """The transport protocol's number."""
    return _expression("meta", number(1, register), number(2, 16))


def find(set_name: str, register: int) -> bytes:
    """Go on with the rule where the set holds the key."""
    return _expression("lookup", text(1, set_name), number(2, register))


def find_value(map_name: str, register: int, value: int) -> bytes:
    """Go on with the rule where the map holds the key; its data is in `value` then. 0 is the verdict."""
    return _expression("lookup", text(1, map_name), number(2, register), number(3, value))


def next_number(register: int, modulus: int, *, random: bool) -> bytes:
    return _expression("numgen", number(1, register), number(2, modulus), number(3, int(random)))


def hash_of(source: int, length: int, register: int, modulus: int) -> bytes:
    """Jenkins' hash with a fixed seed, so that it is the same after a restart."""
    return _expression(
        "hash", number(1, source), number(2, register), number(3, length), number(4, modulus), number(5, 1)
    )


def translate(family: Family, register: int) -> bytes:
    """DNAT to the address and port in the registers."""
    port = register + family.words
    return _expression("nat", number(1, 1), number(2, family.number), number(3, register), number(5, port))


def masquerade() -> bytes:
    return _expression("masq", number(1, _FULLY_RANDOM))


def of_this_machine(*, source: bool = False) -> tuple[bytes, ...]:
    """Go on where the destination (or the source) is an address of this machine."""
    which = 1 if source else 2
    return (
        _expression("fib", number(1, _SCRATCH), number(2, 3), number(3, which)),
        _compare(_LOCAL),
    )


def not_loopback(family: Family) -> tuple[bytes, ...]:
    """Go on where the destination is no loopback address: translated ones of those leave no machine."""
    load = network_header(_SCRATCH, family.destination, family.length)
    if family.length == 16:
        return load, _compare(bytes(15) + b"\1", equal=False)
    return load, _mask(b"\xff\0\0\0"), _compare(b"\x7f\0\0\0", equal=False)


def outside(family: Family, network: bytes, mask: bytes) -> tuple[bytes, ...]:
    """Go on where the source is not in the network."""
    return (
        network_header(_SCRATCH, family.source, family.length),
        _mask(mask),
        _compare(network, equal=False),
    )


def set_mark(bit: int) -> tuple[bytes, ...]:
    """Set a bit of the packet's mark."""
    keep = struct.pack("=I", ~bit & 0xFFFFFFFF)
    return _mark(), _mask(keep, struct.pack("=I", bit)), _expression("meta", number(2, 3), number(3, _SCRATCH))


def has_mark(bit: int) -> tuple[bytes, ...]:
    value = struct.pack("=I", bit)
    return _mark(), _mask(value), _compare(value)


def was_translated() -> tuple[bytes, ...]:
    """Go on where the connection's destination was translated."""
    bit = struct.pack("=I", _STATUS_DNAT)
    return _expression("ct", number(1, _SCRATCH), number(2, 2)), _mask(bit), _compare(bytes(4), equal=False)


def go_to(chain: str) -> bytes:
    """The data of a verdict map's element."""
    return nested(2, number(1, _GOTO), text(2, chain))


def leave() -> bytes:
    """The verdict `return`."""
    return _expression("immediate", number(1, 0), nested(2, nested(2, number(1, _RETURN))))


def _mark() -> bytes:
    return _expression("meta", number(1, _SCRATCH), number(2, 3))


def _payload(register: int, base: int, offset: int, length: int) -> bytes:
    return _expression("payload", number(1, register), number(2, base), number(3, offset), number(4, length))


def _compare(value: bytes, *, equal: bool = True) -> bytes:
    return _expression("cmp", number(1, _SCRATCH), number(2, int(not equal)), nested(3, attribute(1, value)))


def _mask(keep: bytes, flip: bytes = b"") -> bytes:
    return _expression(
        "bitwise",
        number(1, _SCRATCH),
        number(2, _SCRATCH),
        number(3, len(keep)),
        nested(4, attribute(1, keep)),
        nested(5, attribute(1, flip or bytes(len(keep)))),
    )


def _expression(name: str, *attributes: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *attributes))
