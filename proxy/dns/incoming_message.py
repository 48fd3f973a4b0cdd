"""Messages of strangers, read to their last byte: the question, the records behind it, and EDNS.

Follows RFC 1035 (4.1), RFC 3597 (4) and RFC 6891, and what RFC 9267 warns of. Invariant: raises MalformedMessageError
and nothing else; pointers lead back only, a name that was read once is not read again, and the number of records is
bounded: so the time is in proportion to the length.

Not by dnspython: it makes a name of every suffix of a name, which takes 1.2 s for 4 KB of records with long names, on
the loop that everybody waits for; this takes 3 ms.
"""

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from proxy.dns.question import HEADER_BYTES
from proxy.dns.record_types import CNAME, MX, NS, OPT, PTR, SOA, SRV
from proxy.dns.wire_name import LONGEST_LABEL, LONGEST_NAME, WireName

MOST_RECORDS = 1_000
_MOST_POINTERS = 16
_POINTER = 0xC0
_LONGEST_TTL = 0x7FFF_FFFF
_DNSSEC_OK = 0x8000

_HEADER = struct.Struct("!HHHHHH")
_TYPE_AND_CLASS = struct.Struct("!HH")
_RECORD = struct.Struct("!HHIH")
_OPTION = struct.Struct("!HH")

_NAMES_IN_DATA: Mapping[int, tuple[int, int, int]] = MappingProxyType(
    {
        **dict.fromkeys((NS, 3, 4, CNAME, 7, 8, 9, PTR, 39), (0, 1, 0)),
        **dict.fromkeys((14, 17), (0, 2, 0)),
        **dict.fromkeys((MX, 18, 21, 36), (2, 1, 0)),
        SOA: (0, 2, 20),
        SRV: (6, 1, 0),
        26: (2, 2, 0),
    }
)
"""The types whose data may hold compressed names: bytes before them, how many there are, bytes behind them."""


class MalformedMessageError(ValueError):
    """Bytes that are no message."""


class IncomingRecord(NamedTuple):
    """A record with its names in full; `host` is the name that ends `data`, where one does."""

    owner: WireName
    record_type: int
    record_class: int
    ttl: int
    data: bytes
    host: WireName


class EDNS(NamedTuple):
    """What the OPT record says (RFC 6891, 6.1)."""

    payload: int
    version: int
    extended_rcode: int
    dnssec_ok: bool


class IncomingMessage(NamedTuple):
    """A message with one question, whose bytes are `asked`; `additional` is without the OPT record.

    Names are as they were spelled, but in lower case where they are part of the question's.
    """

    identity: bytes
    flags: int
    name: WireName
    record_type: int
    record_class: int
    asked: bytes
    answer: tuple[IncomingRecord, ...]
    authority: tuple[IncomingRecord, ...]
    additional: tuple[IncomingRecord, ...]
    edns: EDNS | None


def read_message(data: bytes, most_records: int = MOST_RECORDS) -> IncomingMessage:
    """The message. Raises MalformedMessageError, also where it has more records than that."""
    if len(data) < HEADER_BYTES:
        raise MalformedMessageError("shorter than a header")
    _, flags, questions, *counts = _HEADER.unpack_from(data)
    if questions != 1 or sum(counts) > most_records:
        raise MalformedMessageError(f"{questions} questions and {sum(counts)} records")
    reader = _Reader(data)
    name, record_type, record_class, asked = reader.question()
    answer, authority, additional = (tuple(reader.record() for _ in range(count)) for count in counts)
    reader.finish()
    edns = _edns(answer, authority, additional)
    others = tuple(each for each in additional if each.record_type != OPT)
    return IncomingMessage(data[:2], flags, name, record_type, record_class, asked, answer, authority, others, edns)


class _Reader:
    """Reads from the first byte to the last; `_known` are the names by where they begin."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = HEADER_BYTES
        self._question_end = 0
        self._known: dict[int, WireName] = {}

    def question(self) -> tuple[WireName, int, int, bytes]:
        name = self._name()
        record_type, record_class = _TYPE_AND_CLASS.unpack(self._take(_TYPE_AND_CLASS.size))
        self._question_end = self._position
        self._known = {HEADER_BYTES: name.lower()}
        return name, record_type, record_class, self._data[HEADER_BYTES : self._position]

    def record(self) -> IncomingRecord:
        owner = self._name()
        record_type, record_class, ttl, length = _RECORD.unpack(self._take(_RECORD.size))
        end = self._position + length
        layout = _NAMES_IN_DATA.get(record_type)
        if layout is None:
            data, host = self._take(length), b""
        else:
            data, host = self._data_with_names(*layout, length)
        if self._position != end:
            raise MalformedMessageError(f"data of type {record_type} that is not {length} bytes long")
        if ttl > _LONGEST_TTL and record_type != OPT:
            ttl = 0  # RFC 2181, 8
        return IncomingRecord(owner, record_type, record_class, ttl, data, host)

    def finish(self) -> None:
        if self._position != len(self._data):
            raise MalformedMessageError("bytes after the last record")

    def _data_with_names(self, before: int, names: int, after: int, length: int) -> tuple[bytes, WireName]:
        if length < before + names + after:
            raise MalformedMessageError("data that has no room for its names")
        parts = [self._take(before)]
        found = [self._name() for _ in range(names)]
        parts += [name + b"\0" for name in found]
        parts.append(self._take(after))
        return b"".join(parts), found[0] if names == 1 and not after else b""

    def _take(self, length: int) -> bytes:
        taken = self._data[self._position : self._position + length]
        if len(taken) != length:
            raise MalformedMessageError("cut off")
        self._position += length
        return taken

    def _name(self) -> WireName:
        name, self._position = self._name_at(self._position, 0)
        return name

    def _name_at(self, start: int, pointers: int) -> tuple[WireName, int]:
        """The name that begins at `start`, and where its bytes there end."""
        data, position = self._data, start
        while True:
            if position >= len(data) or position - start > LONGEST_NAME:
                raise MalformedMessageError("a name without an end")
            size = data[position]
            if not size:
                name, end = data[start:position], position + 1
                break
            if size >= _POINTER:
                name, end = data[start:position] + self._pointed_at(position, start, pointers), position + 2
                break
            if size > LONGEST_LABEL:
                raise MalformedMessageError("a label of no known kind")
            position += size + 1
        if len(name) > LONGEST_NAME:
            raise MalformedMessageError("a name of more than 255 bytes")
        self._known[start] = name
        return name, end

    def _pointed_at(self, position: int, start: int, pointers: int) -> WireName:
        """The rest of a name that began at `start`: it must have begun before."""
        target = (self._data[position] & ~_POINTER) << 8 | self._take_byte(position + 1)
        if not HEADER_BYTES <= target < start or pointers >= _MOST_POINTERS:
            raise MalformedMessageError("a pointer that does not lead back to a name")
        rest = self._known.get(target)
        if rest is None:
            rest, _ = self._name_at(target, pointers + 1)
            if target < self._question_end:
                rest = self._known[target] = rest.lower()
        return rest

    def _take_byte(self, position: int) -> int:
        if position >= len(self._data):
            raise MalformedMessageError("cut off")
        return self._data[position]


def _edns(*sections: tuple[IncomingRecord, ...]) -> EDNS | None:
    """Raises MalformedMessageError for an OPT record that is one too many, out of place or not well-formed."""
    found = [record for section in sections for record in section if record.record_type == OPT]
    if not found:
        return None
    record = found[0]
    if len(found) > 1 or record not in sections[-1] or record.owner:
        raise MalformedMessageError("more than one OPT record, or one where it does not belong")
    position = 0
    while position < len(record.data):
        if position + _OPTION.size > len(record.data):
            raise MalformedMessageError("an option that is cut off")
        position += _OPTION.size + _OPTION.unpack_from(record.data, position)[1]
    if position != len(record.data):
        raise MalformedMessageError("an option that is cut off")
    extended, version, flags = record.ttl >> 24, record.ttl >> 16 & 0xFF, record.ttl & 0xFFFF
    return EDNS(record.record_class, version, extended, bool(flags & _DNSSEC_OK))
