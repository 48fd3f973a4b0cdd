"""Netlink attributes: type, length, value. Pure (include/uapi/linux/netlink.h).

Invariant: what `attribute` writes, `read_attributes` reads.
"""

import struct

_NESTED = 0x8000
_TYPE = 0x3FFF
_HEADER = struct.Struct("=HH")


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return _HEADER.pack(4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute whose value are attributes."""
    return attribute(kind | _NESTED, b"".join(attributes))


def text(kind: int, value: str) -> bytes:
    """A string that ends with a zero byte."""
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    """32 bits in network order, as nf_tables has its numbers."""
    return attribute(kind, struct.pack(">I", value))


def read_attributes(data: bytes) -> dict[int, bytes]:
    """The attributes by their types. Of a type that occurs twice the last counts."""
    return dict(read_list(data))


def read_list(data: bytes) -> list[tuple[int, bytes]]:
    """The attributes in their order."""
    found, offset = [], 0
    while offset + 4 <= len(data):
        length, kind = _HEADER.unpack_from(data, offset)
        found.append((kind & _TYPE, data[offset + 4 : offset + length]))
        offset += max(4, length + (-length % 4))
    return found


def read_text(value: bytes) -> str:
    """A string without its zero byte."""
    return value.partition(b"\0")[0].decode(errors="replace")


def comment(words: str) -> bytes:
    """What `nft` shows as the comment of a table, a chain, a rule or an element: user data of type 0."""
    data = words.encode()[:127] + b"\0"
    return bytes((0, len(data))) + data


def read_comment(data: bytes) -> str:
    """The comment in user data, or an empty string."""
    return read_text(data[2:]) if data[:1] == b"\0" else ""
