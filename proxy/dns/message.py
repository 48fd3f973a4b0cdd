"""Messages: answers as bytes, within a limit, and so that an address list can be turned without writing it anew.

Imports this room. Owners of records are compressed, data is not: SRV targets must not be (RFC 2782, older resolvers
of Go refuse it) unless the answer would not fit into the longest message. Invariant: a message is never longer than
its limit, and says so (TC) if answers are missing; the question is repeated byte for byte, so its case is kept
(0x20).
"""

import struct
from collections.abc import Iterable, Sequence

from proxy.dns.answer import Answer, Record
from proxy.dns.question import (
    AUTHORITATIVE,
    CHECKING_DISABLED,
    HEADER_BYTES,
    RECURSION_AVAILABLE,
    RECURSION_DESIRED,
    RESPONSE,
    TRUNCATED,
    Question,
)
from proxy.dns.record_types import AAAA, A
from proxy.dns.wire_name import WireName, label_starts

LONGEST_MESSAGE = 65_535
LONGEST_DATAGRAM = 1_232
"""What we send at most without TCP, and what we announce: it passes every network unfragmented (DNS flag day 2020)."""
SHORTEST_LIMIT = 512

_COUNTS = struct.Struct("!HHHHH")
_RECORD = struct.Struct("!HHIH")
_OPT_RECORD = struct.Struct("!BHHBBHH")
_POINTER, _POINTER_LIMIT = 0xC000, 0x4000


def datagram_limit(question: Question) -> int:
    """How long a response over UDP may be."""
    return min(max(question.payload, SHORTEST_LIMIT), LONGEST_DATAGRAM)


class Message:
    """A response that is written once and sent often: `sent_to` gives the bytes for one asker.

    Where the answers are addresses of the name asked for, each sending begins with the next one.
    """

    __slots__ = ("_after", "_before", "_shown", "_size", "_start", "_turning", "rcode")

    def __init__(self, before: bytes, turning: bytes, size: int, shown: int, after: bytes, rcode: int) -> None:
        self._before = before
        self._turning = turning * 2
        self._size = size
        self._shown = shown * size
        self._start = 0
        self._after = after
        self.rcode = rcode

    @property
    def bytes_held(self) -> int:
        """About the memory that it takes."""
        return len(self._before) + len(self._turning) + len(self._after) + 200

    def whole(self, asked: bytes) -> bytes:
        """All but the identity, where that is the same each time; else empty."""
        return b"" if self._size else self._before + asked + self._after

    def sent_to(self, identity: bytes, asked: bytes) -> bytes:
        """The bytes for a client with this message identity, whose question is spelled like this."""
        if not self._size:
            return identity + self._before + asked + self._after
        start = self._start
        self._start = (start + self._size) % (len(self._turning) >> 1)
        return identity + self._before + asked + self._turning[start : start + self._shown] + self._after


def write(question: Question, answer: Answer, limit: int, recursion_available: bool) -> Message:
    """The response to `question`. At most `limit` bytes, which must be 512 or more."""
    flags = RESPONSE | AUTHORITATIVE | question.flags & (RECURSION_DESIRED | CHECKING_DISABLED)
    flags |= (RECURSION_AVAILABLE if recursion_available else 0) | answer.rcode
    if _is_turning(question.name, answer):
        return _turning_message(question, answer, limit, flags)
    writer = _Writer(question, limit)
    if limit == LONGEST_MESSAGE and _is_long(answer.answers):
        writer.compress_data = True
    answered = writer.put_all(answer.answers)
    flags |= 0 if answered == len(answer.answers) else TRUNCATED
    referred = writer.put_all(answer.authority) if answered == len(answer.answers) else 0
    added = writer.put_all(answer.additional) if answered == len(answer.answers) else 0
    options = _options(question)
    before = _COUNTS.pack(flags, 1, answered, referred, added + bool(options))
    return Message(before, b"", 0, 0, writer.after_question() + options, answer.rcode)


def write_error(question: Question, rcode: int, recursion_available: bool, authoritative: bool = False) -> bytes:
    """A response without records."""
    message = write(question, Answer(rcode), SHORTEST_LIMIT, recursion_available)
    data = bytearray(message.sent_to(question.identity, question.asked))
    if not authoritative:
        data[2] &= ~(AUTHORITATIVE >> 8)
    return bytes(data)


def _is_turning(name: WireName, answer: Answer) -> bool:
    answers = answer.answers
    return len(answers) > 1 and all(each.owner == name and each.record_type in (A, AAAA) for each in answers)


def _turning_message(question: Question, answer: Answer, limit: int, flags: int) -> Message:
    """All addresses, of which as many are shown as fit, each time from another one on."""
    records = [_POINTER_TO_QUESTION + _head(each) + each.data for each in answer.answers]
    size = len(records[0])
    options = _options(question)
    shown = min(len(records), (limit - HEADER_BYTES - len(question.asked) - len(options)) // size)
    flags |= TRUNCATED if shown < len(records) else 0
    before = _COUNTS.pack(flags, 1, shown, 0, bool(options))
    return Message(before, b"".join(records), size, shown, options, answer.rcode)


def _options(question: Question) -> bytes:
    """The OPT record of the response; a question without one gets none (RFC 6891, 7)."""
    if not question.payload:
        return b""
    return _OPT_RECORD.pack(0, 41, LONGEST_DATAGRAM, 0, 0, 0x8000 if question.dnssec_ok else 0, 0)


def _is_long(records: Sequence[Record]) -> bool:
    return sum(len(each.data) for each in records) + len(records) * 12 > LONGEST_MESSAGE - 1024


def _head(record: Record) -> bytes:
    return _RECORD.pack(record.record_type, 1, record.ttl, len(record.data))


_POINTER_TO_QUESTION = struct.pack("!H", _POINTER | HEADER_BYTES)


class _Writer:
    """Appends records while they fit; remembers where names stand, to point at them."""

    def __init__(self, question: Question, limit: int) -> None:
        self._data = bytearray(HEADER_BYTES) + question.asked
        self._start = len(self._data)
        self._limit = limit - len(_options(question))
        self._places: dict[WireName, int] = {}
        self.compress_data = False
        self._is_full = False
        self._remember(question.name, HEADER_BYTES)

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

    def _put(self, record: Record) -> bool:
        start = len(self._data)
        self._put_name(record.owner)
        place = len(self._data)
        self._data += _head(record)
        if record.host and self.compress_data:
            self._data += record.data[: -len(record.host) - 1]
            self._put_name(record.host)
            struct.pack_into("!H", self._data, place + 8, len(self._data) - place - _RECORD.size)
        else:
            self._data += record.data
        if len(self._data) > self._limit:
            del self._data[start:]
            return False
        if record.host and not self.compress_data:
            self._remember(record.host, len(self._data) - len(record.host) - 1)
        return True

    def _put_name(self, name: WireName) -> None:
        """The labels up to a place that is known, and a pointer to it."""
        for start in label_starts(name):
            place = self._places.get(name[start:])
            if place is not None:
                position = len(self._data)
                self._data += name[:start] + struct.pack("!H", _POINTER | place)
                self._remember(name, position, start)
                return
        self._remember(name, len(self._data))
        self._data += name + b"\0"

    def _remember(self, name: WireName, position: int, end: int | None = None) -> None:
        for start in label_starts(name[:end]):
            if position + start < _POINTER_LIMIT:
                self._places.setdefault(name[start:], position + start)
