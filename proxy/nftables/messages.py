"""The messages of a batch to nf_tables, and what its answers hold. Pure.

Invariant: a batch is applied as a whole or not at all. Nothing in it refers to a handle, so that it can be written
without reading anything first.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from proxy.nftables.attributes import (
    attribute,
    comment,
    nested,
    number,
    read_attributes,
    read_comment,
    read_list,
    read_text,
    text,
)
from proxy.nftables.chains import BaseChain, Rule
from proxy.nftables.expressions import go_to
from proxy.nftables.family import Family
from proxy.nftables.shares import Value

NEW_TABLE, GET_TABLE, DELETE_TABLE = 0, 1, 2
NEW_CHAIN, GET_CHAIN, DELETE_CHAIN = 3, 4, 5
NEW_RULE, DELETE_RULE = 6, 8
NEW_SET, GET_SET = 9, 10
NEW_ELEMENT, GET_ELEMENT, DELETE_ELEMENT = 12, 13, 14

SUBSYSTEM = 10 << 8  # NFNL_SUBSYS_NFTABLES
BATCH_BEGIN, BATCH_END = 16, 17
REQUEST, DUMP, CREATE, APPEND = 1, 0x300, 0x400, 0x800

_HEADER = struct.Struct("=IHHII")
_FAMILY = struct.Struct(">BBH")
_MOST_ELEMENTS = 60_000
"""Bytes of elements in one message: the length of an attribute has 16 bits."""

_ADDRESS_TYPES = (7, 8)
_PROTOCOL, _PORT, _MARK = 12, 13, 19
_VERDICT = 0xFFFFFF00
_MAP = 0x8
_SET_COMMENT = 7


def message(kind: int, flags: int, family: int, body: bytes, resource: int = 0) -> bytes:
    """One netlink message of nfnetlink."""
    size = _HEADER.size + _FAMILY.size + len(body)
    return _HEADER.pack(size, kind, REQUEST | flags, 0, 0) + _FAMILY.pack(family, 0, resource) + body


def batch(messages: Iterable[bytes]) -> bytes:
    """What is applied at once."""
    return b"".join((message(BATCH_BEGIN, 0, 0, b"", 10), *messages, message(BATCH_END, 0, 0, b"", 10)))


def new_table(family: Family, table: str, words: str) -> bytes:
    return _new(NEW_TABLE, family, text(1, table), attribute(6, comment(words)))


def delete_table(family: Family, table: str) -> bytes:
    """The table must exist."""
    return message(SUBSYSTEM | DELETE_TABLE, 0, family.number, text(1, table))


def new_base_chain(family: Family, table: str, chain: BaseChain) -> bytes:
    hook = nested(4, number(1, chain.hook), number(2, chain.priority & 0xFFFFFFFF))
    return _new(NEW_CHAIN, family, text(1, table), text(3, chain.name), hook, number(5, 1), text(7, "nat"))


def new_chain(family: Family, table: str, chain: str) -> bytes:
    return _new(NEW_CHAIN, family, text(1, table), text(3, chain))


def delete_chain(family: Family, table: str, chain: str) -> bytes:
    """The chain goes with its rules. Nothing may lead to it any more."""
    return message(SUBSYSTEM | DELETE_CHAIN, 0, family.number, text(1, table) + text(3, chain))


def empty_chain(family: Family, table: str, chain: str) -> bytes:
    """All rules of the chain go."""
    return message(SUBSYSTEM | DELETE_RULE, 0, family.number, text(1, table) + text(2, chain))


def new_rules(family: Family, table: str, chain: str, rules: Iterable[Rule]) -> Iterator[bytes]:
    """Each rule goes to the end of the chain."""
    for words, expressions in rules:
        body = text(1, table) + text(2, chain) + nested(4, *expressions) + attribute(7, comment(words))
        yield message(SUBSYSTEM | NEW_RULE, CREATE | APPEND, family.number, body)


class SetShape(NamedTuple):
    """`key` and `data` are nft's type numbers, in order; the data of a verdict map is empty."""

    name: str
    words: str
    key: tuple[int, ...]
    data: tuple[int, ...] = ()
    verdict: bool = False


def set_shapes(family: Family) -> tuple[SetShape, ...]:
    """The maps and sets of the table."""
    address = family.address_type
    node, endpoint = (_PROTOCOL, _PORT), (address, _PORT)
    frontend = (address, *node)
    return (
        SetShape("services", "frontend : how its endpoint is chosen", frontend, verdict=True),
        SetShape("endpoints", "frontend and slot : endpoint", (*frontend, _MARK), endpoint),
        SetShape("node_services", "node port : how its endpoint is chosen", node, verdict=True),
        SetShape("node_endpoints", "node port and slot : endpoint", (*node, _MARK), endpoint),
        SetShape("frontends", "all with an address of their own", frontend),
        SetShape("masquerade", "frontends that masquerade clients from outside", frontend),
        SetShape("node_masquerade", "node ports that masquerade clients from outside", node),
        SetShape("relayed_here", "frontends whose clients on this machine have other endpoints", frontend),
        SetShape("node_relayed_here", "node ports whose clients on this machine have other endpoints", node),
        SetShape("reached", "addresses of endpoints", (address,)),
        SetShape("hairpins", "endpoints that reach themselves", (address, address)),
    )


def new_set(family: Family, table: str, shape: SetShape) -> bytes:
    """A map or set, without elements."""
    flags = 0
    parts = [text(1, table), text(2, shape.name), *_typed(shape.key, 4, 5), number(10, 1)]
    if shape.verdict:
        flags |= _MAP
        parts += [number(6, _VERDICT), number(7, 0)]
    elif shape.data:
        flags |= _MAP
        parts += _typed(shape.data, 6, 7)
    parts += [number(3, flags), attribute(13, _set_comment(shape.words))]
    return _new(NEW_SET, family, *parts)


def elements(
    kind: int, family: Family, table: str, name: str, values: Iterable[tuple[bytes, Value]]
) -> Iterator[bytes]:
    """Elements to add or delete, in as few messages as they fit into."""
    head = text(1, table) + text(2, name)
    flags = CREATE if kind == NEW_ELEMENT else 0
    parts: list[bytes] = []
    size = 0
    for key, value in values:
        part = _element(key, value if kind == NEW_ELEMENT else None)
        if size + len(part) > _MOST_ELEMENTS:
            yield message(SUBSYSTEM | kind, flags, family.number, head + nested(3, *parts))
            parts, size = [], 0
        parts.append(part)
        size += len(part)
    if parts:
        yield message(SUBSYSTEM | kind, flags, family.number, head + nested(3, *parts))


def read_elements(body: bytes) -> Iterator[tuple[bytes, Value]]:
    """The elements of a message that a dump of a set gave."""
    for _, item in read_list(read_attributes(body).get(3, b"")):
        found = read_attributes(item)
        data = read_attributes(found.get(2, b""))
        verdict = read_attributes(data.get(2, b""))
        yield (
            read_attributes(found[1])[1],
            Value(data.get(1, b""), read_text(verdict.get(2, b"")), read_comment(found.get(6, b"\1"))),
        )


def _element(key: bytes, value: Value | None) -> bytes:
    parts = nested(1, attribute(1, key))
    if value is not None:
        if value.chain:
            parts += nested(2, go_to(value.chain))
        elif value.data:
            parts += nested(2, attribute(1, value.data))
        if value.comment:
            parts += attribute(6, value.user_data())
    return nested(1, parts)


def _new(kind: int, family: Family, *parts: bytes) -> bytes:
    return message(SUBSYSTEM | kind, CREATE, family.number, b"".join(parts))


def _typed(types: tuple[int, ...], type_attribute: int, length_attribute: int) -> list[bytes]:
    """The type of a concatenation, six bits each, and its length in bytes."""
    joined = 0
    for each in types:
        joined = joined << 6 | each
    length = sum(_length_of(each) if len(types) == 1 else -(-_length_of(each) // 4) * 4 for each in types)
    return [number(type_attribute, joined), number(length_attribute, length)]


def _length_of(kind: int) -> int:
    return {_ADDRESS_TYPES[0]: 4, _ADDRESS_TYPES[1]: 16, _PROTOCOL: 1, _PORT: 2, _MARK: 4}[kind]


def _set_comment(words: str) -> bytes:
    data = words.encode() + b"\0"
    return bytes((_SET_COMMENT, len(data))) + data
