"""The record writer: appends records to a message while they fit, with names compressed (RFC 1035, 4.1.4).

Names are compressed but for SRV targets, which must not be (RFC 2782, older resolvers of Go refuse it) unless the
answer would not fit into the longest message. Invariant: what was appended is never longer than the limit, and a
pointer leads to a name that stands before it.
"""

import struct
from collections.abc import Iterable, Sequence
from itertools import groupby

from proxy.dns.answer import Record
from proxy.dns.question import HEADER_BYTES
from proxy.dns.record_types import CNAME, MX, NS, PTR
from proxy.dns.wire_name import WireName, label_starts

_RECORD = struct.Struct("!HHIH")
_COMPRESSED_TYPES = frozenset((NS, CNAME, PTR, MX))
_POINTER = struct.Struct("!H")
_POINTER_BITS, _POINTER_LIMIT = 0xC000, 0x4000


class RecordWriter:
    """Writes behind a header and the question `asked` about `name`. `compress_targets`: SRV's too."""

    def __init__(self, name: WireName, asked: bytes, limit: int, compress_targets: bool) -> None:
        self._data = bytearray(HEADER_BYTES) + asked
        self._start = len(self._data)
        self._limit = limit
        self._compress_targets = compress_targets
        self._places: dict[WireName, int] = {}
        self._is_full = False
        self._remember(name, HEADER_BYTES, len(name))

    @property
    def room(self) -> int:
        """How many bytes still fit."""
        return self._limit - len(self._data)

    def after_question(self) -> bytes:
        """What was appended since the last call, or since the question."""
        written = bytes(self._data[self._start :])
        self._start = len(self._data)
        return written

    def put_all(self, records: Iterable[Record]) -> int:
        """Append records as long as they fit, none after one that did not; returns how many were."""
        count = 0
        for record in records:
            if self._is_full or not self._put(record):
                self._is_full = True
                break
            count += 1
        return count

    def put_sets(self, records: Iterable[Record]) -> int:
        """The same, but no part of a set: a resolver would take it for the whole (RFC 2181, 9)."""
        count = 0
        for _, group in groupby(records, key=lambda each: (each.owner, each.record_type)):
            together = list(group)
            end = len(self._data)
            if self.put_all(together) < len(together):
                del self._data[end:]
                break
            count += len(together)
        return count

    def movable(self, records: Sequence[Record]) -> list[bytes]:
        """Records of one owner, each as it may stand anywhere from here on: it points to what is written, and nothing
        will point to it."""
        owner = self._encoded(records[0].owner)
        if not records[0].host or not self._compress_targets:
            return [owner + _head(each, len(each.data)) + each.data for each in records]
        return [owner + self._with_pointer(each) for each in records]

    def reserve(self, length: int) -> None:
        """Leave room for movable records, which are put in later."""
        self._data += bytes(length)
        self._start = len(self._data)

    def _with_pointer(self, record: Record) -> bytes:
        data = record.data[: -len(record.host) - 1] + self._encoded(record.host)
        return _head(record, len(data)) + data

    def _put(self, record: Record) -> bool:
        start = len(self._data)
        self._put_name(record.owner)
        place = len(self._data)
        self._data += _head(record, len(record.data))
        if record.host and (self._compress_targets or record.record_type in _COMPRESSED_TYPES):
            self._data += record.data[: -len(record.host) - 1]
            self._put_name(record.host)
            struct.pack_into("!H", self._data, place + 8, len(self._data) - place - _RECORD.size)
        else:
            self._data += record.data
            if record.host:
                self._remember(record.host, len(self._data) - len(record.host) - 1, len(record.host))
        if len(self._data) > self._limit:
            del self._data[start:]
            return False
        return True

    def _put_name(self, name: WireName) -> None:
        start, place = self._known_end(name)
        position = len(self._data)
        self._data += name[:start] + place
        self._remember(name, position, start)

    def _encoded(self, name: WireName) -> bytes:
        start, place = self._known_end(name)
        return name[:start] + place

    def _known_end(self, name: WireName) -> tuple[int, bytes]:
        """Where the longest part begins that stands somewhere already, and the pointer to it; or the end and a zero."""
        for start in label_starts(name):
            place = self._places.get(name[start:])
            if place is not None:
                return start, _POINTER.pack(_POINTER_BITS | place)
        return len(name), b"\0"

    def _remember(self, name: WireName, position: int, end: int) -> None:
        """The name stands at `position`, spelled out up to `end`."""
        for start in label_starts(name[:end]):
            if position + start < _POINTER_LIMIT:
                self._places.setdefault(name[start:], position + start)


def _head(record: Record, length: int) -> bytes:
    return _RECORD.pack(record.record_type, 1, record.ttl, length)
