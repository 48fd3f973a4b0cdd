"""Messages: answers as bytes, within a limit, and so that an address list can be turned without writing it anew.

Imports this room. Names are compressed, but for SRV targets, which must not be (RFC 2782, older resolvers of Go refuse
it) unless the answer would not fit into the longest message. Addresses take turns, as with CoreDNS's loadbalance; SRV
records do not: who asks for them chooses by weight. Invariant: a message is never longer than
its limit, and says so (TC) if answers are missing; the question is repeated byte for byte, so its case is kept
(0x20).
"""

import struct
from collections.abc import Iterable, Sequence
from itertools import groupby

from proxy.dns.answer import Answer, Record
from proxy.dns.question import (
    AUTHENTIC,
    AUTHORITATIVE,
    HEADER_BYTES,
    RECURSION_AVAILABLE,
    RESPONSE,
    SENT_BACK_FLAGS,
    TRUNCATED,
    Question,
)
from proxy.dns.record_types import AAAA, CNAME, MX, NS, PTR, SERVFAIL, A
from proxy.dns.wire_name import WireName, label_starts

LONGEST_MESSAGE = 65_535
LONGEST_DATAGRAM = 1_232
"""What we send at most without TCP, and what we announce: it passes every network unfragmented (DNS flag day 2020)."""
SHORTEST_LIMIT = 512
_STEP = 32

_COUNTS = struct.Struct("!HHHHH")
_RECORD = struct.Struct("!HHIH")
_OPT_RECORD = struct.Struct("!BHHBBHH")
_COMPRESSED_TYPES = frozenset((NS, CNAME, PTR, MX))
_POINTER_BYTES = struct.Struct("!H")
_POINTER, _POINTER_LIMIT = 0xC000, 0x4000
_PLAIN_RCODE = 15
"""The most that the header has room for; the rest is in the OPT record."""


def datagram_limit(question: Question) -> int:
    """How long a response over UDP may be: what the client takes, rounded down to one of a few sizes, since for each
    of them there is another message to write and to keep."""
    if question.payload >= LONGEST_DATAGRAM:
        return LONGEST_DATAGRAM
    return max(question.payload // _STEP * _STEP, SHORTEST_LIMIT)


class Message:
    """A response that is written once and sent often: `sent_to` gives the bytes for one asker.

    Where the answers are addresses of one name, each sending begins with the next one. They are `turning`, each `size`
    long, and `shown` of them are sent at a time; before them comes `lead`.
    """

    __slots__ = ("_after", "_before", "_lead", "_shown", "_size", "_start", "_turning")

    def __init__(
        self, before: bytes, after: bytes, lead: bytes = b"", turning: bytes = b"", size: int = 0, shown: int = 0
    ) -> None:
        self._before = before
        self._lead = lead
        self._turning = turning * 2
        self._size = size
        self._shown = shown * size
        self._start = 0
        self._after = after

    @property
    def bytes_held(self) -> int:
        """About the memory that it takes."""
        return len(self._before) + len(self._lead) + len(self._turning) + len(self._after) + 200

    def whole(self, asked: bytes) -> bytes:
        """All but the identity, where that is the same each time; else empty."""
        return b"" if self._size else self._before + asked + self._after

    def sent_to(self, identity: bytes, asked: bytes) -> bytes:
        """The bytes for a client with this message identity, whose question is spelled like this."""
        if not self._size:
            return identity + self._before + asked + self._after
        start = self._start
        self._start = (start + self._size) % (len(self._turning) >> 1)
        turned = self._turning[start : start + self._shown]
        return identity + self._before + asked + self._lead + turned + self._after


def write(question: Question, answer: Answer, limit: int, recursion_available: bool) -> Message:
    """The response to `question`. At most `limit` bytes, which must be 512 or more."""
    rcode = answer.rcode if answer.rcode <= _PLAIN_RCODE or question.payload else SERVFAIL
    flags = RESPONSE | question.flags & SENT_BACK_FLAGS | rcode & _PLAIN_RCODE
    flags |= AUTHORITATIVE if answer.authoritative else 0
    flags |= AUTHENTIC if answer.authentic else 0
    flags |= RECURSION_AVAILABLE if recursion_available else 0
    options = _options(question, rcode)
    writer = _Writer(question, limit - len(options))
    turning = _turning(answer.answers)
    if turning:
        message = _turning_message(writer, answer.answers, turning, flags, options)
        if message is not None:
            return message
        writer = _Writer(question, limit - len(options))
    if limit == LONGEST_MESSAGE and _is_long(answer.answers):
        writer.compress_data = True
    answered = writer.put_all(answer.answers)
    flags |= 0 if answered == len(answer.answers) else TRUNCATED
    referred = writer.put_sets(answer.authority)
    added = writer.put_sets(answer.additional)
    before = _COUNTS.pack(flags, 1, answered, referred, added + bool(options))
    return Message(before, writer.after_question() + options)


def write_error(question: Question, rcode: int, recursion_available: bool) -> bytes:
    """A response without records, which is nobody's authority."""
    message = write(question, Answer(rcode, authoritative=False), SHORTEST_LIMIT, recursion_available)
    return message.sent_to(question.identity, question.asked)


def _turning(answers: Sequence[Record]) -> Sequence[Record]:
    """The answers that may come in any order: addresses of one name, alone or behind the aliases that lead to it."""
    aliases = 0
    while aliases < len(answers) and answers[aliases].record_type == CNAME:
        aliases += 1
    found = answers[aliases:]
    if len(found) < 2 or found[0].record_type not in (A, AAAA):
        return ()
    owner, record_type = found[0].owner, found[0].record_type
    return found if all(each.owner == owner and each.record_type == record_type for each in found) else ()


def _turning_message(
    writer: "_Writer", answers: Sequence[Record], turning: Sequence[Record], flags: int, options: bytes
) -> Message | None:
    """All addresses, of which as many are shown as fit, each time from another one on; None if none fits."""
    aliases = len(answers) - len(turning)
    if writer.put_all(answers[:aliases]) < aliases:
        return None
    owner = writer.pointer_to(turning[0].owner)
    records = [owner + _head(each) + each.data for each in turning]
    size = len(records[0])
    shown = min(len(records), writer.room // size)
    if not owner or not shown:
        return None
    flags |= TRUNCATED if shown < len(records) else 0
    before = _COUNTS.pack(flags, 1, aliases + shown, 0, bool(options))
    return Message(before, options, writer.after_question(), b"".join(records), size, shown)


def _options(question: Question, rcode: int) -> bytes:
    """The OPT record of the response; a question without one gets none (RFC 6891, 7)."""
    if not question.payload:
        return b""
    return _OPT_RECORD.pack(0, 41, LONGEST_DATAGRAM, rcode >> 4, 0, 0x8000 if question.dnssec_ok else 0, 0)


def _is_long(records: Sequence[Record]) -> bool:
    return sum(len(each.data) for each in records) + len(records) * 12 > LONGEST_MESSAGE - 1024


def _head(record: Record) -> bytes:
    return _RECORD.pack(record.record_type, 1, record.ttl, len(record.data))


class _Writer:
    """Appends records while they fit into `limit` bytes; remembers where names stand, to point at them."""

    def __init__(self, question: Question, limit: int) -> None:
        self._data = bytearray(HEADER_BYTES) + question.asked
        self._start = len(self._data)
        self._limit = limit
        self._places: dict[WireName, int] = {}
        self.compress_data = False
        """Whether SRV targets are compressed too."""
        self._is_full = False
        self._remember(question.name, HEADER_BYTES)

    @property
    def room(self) -> int:
        """How many bytes still fit."""
        return self._limit - len(self._data)

    def pointer_to(self, name: WireName) -> bytes:
        """What stands for a name that is in the message; empty for one that is not, or cannot be pointed at."""
        place = self._places.get(name)
        return b"" if place is None else _POINTER_BYTES.pack(_POINTER | place)

    def after_question(self) -> bytes:
        return bytes(self._data[self._start :])

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

    def _put(self, record: Record) -> bool:
        start = len(self._data)
        self._put_name(record.owner)
        place = len(self._data)
        self._data += _head(record)
        compressed = record.host and (self.compress_data or record.record_type in _COMPRESSED_TYPES)
        if compressed:
            self._data += record.data[: -len(record.host) - 1]
            self._put_name(record.host)
            struct.pack_into("!H", self._data, place + 8, len(self._data) - place - _RECORD.size)
        else:
            self._data += record.data
        if len(self._data) > self._limit:
            del self._data[start:]
            return False
        if record.host and not compressed:
            self._remember(record.host, len(self._data) - len(record.host) - 1)
        return True

    def _put_name(self, name: WireName) -> None:
        """The labels up to a place that is known, and a pointer to it."""
        for start in label_starts(name):
            place = self._places.get(name[start:])
            if place is not None:
                position = len(self._data)
                self._data += name[:start] + _POINTER_BYTES.pack(_POINTER | place)
                self._remember(name, position, start)
                return
        self._remember(name, len(self._data))
        self._data += name + b"\0"

    def _remember(self, name: WireName, position: int, end: int | None = None) -> None:
        for start in label_starts(name[:end]):
            if position + start < _POINTER_LIMIT:
                self._places.setdefault(name[start:], position + start)
