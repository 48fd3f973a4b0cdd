"""Messages: responses written once, so that what is asked often is only sent.

What a headless Service is answered with takes turns: CoreDNS's loadbalance does so with addresses, and SRV records do
no worse, though whoever asks for them should choose by weight. Invariant: a message is never longer than its limit, and
says so (TC) if answers are missing; the question is repeated byte for byte, so its case is kept (0x20).
"""

import struct
from array import array
from collections.abc import Sequence
from itertools import accumulate

from proxy.dns.answer import Answer, Record
from proxy.dns.question import (
    AUTHENTIC,
    AUTHORITATIVE,
    RECURSION_AVAILABLE,
    RESPONSE,
    SENT_BACK_FLAGS,
    TRUNCATED,
    Question,
)
from proxy.dns.record_types import AAAA, CNAME, SERVFAIL, SRV, A
from proxy.dns.record_writer import RecordWriter

LONGEST_MESSAGE = 65_535
LONGEST_DATAGRAM = 1_232
"""What we send at most without TCP, and what we announce: it passes every network unfragmented (DNS flag day 2020)."""
SHORTEST_LIMIT = 512
_STEP = 32
_PLAIN_RCODE = 15
"""The most that the header has room for; the rest is in the OPT record."""
_TURNING_TYPES = frozenset((A, AAAA, SRV))

_COUNTS = struct.Struct("!HHHHH")
_OPT_RECORD = struct.Struct("!BHHBBHH")


def datagram_limit(question: Question) -> int:
    """How long a response over UDP may be: what the client takes, rounded down to one of a few sizes, since for each
    of them there is another message to write and to keep."""
    if question.payload >= LONGEST_DATAGRAM:
        return LONGEST_DATAGRAM
    return max(question.payload // _STEP * _STEP, SHORTEST_LIMIT)


class _Turning:
    """Records that take turns: `shown` of them are sent at a time, each time beginning with the next one."""

    __slots__ = ("_bytes", "_count", "_places", "_shown", "_start")

    def __init__(self, records: Sequence[bytes], shown: int) -> None:
        self._bytes = b"".join(records) * 2
        self._places = array("I", accumulate((len(each) for each in (*records, *records)), initial=0))
        self._count = len(records)
        self._shown = shown
        self._start = 0

    @property
    def bytes_held(self) -> int:
        return len(self._bytes) + len(self._places) * self._places.itemsize

    def next(self) -> bytes:
        start = self._start
        self._start = (start + 1) % self._count
        return self._bytes[self._places[start] : self._places[start + self._shown]]


class Message:
    """A response that is written once and sent often: `sent_to` gives the bytes for one asker.

    It is `before`, the question, `lead`, what is `turning`, and `after`.
    """

    __slots__ = ("_after", "_before", "_lead", "_turning")

    def __init__(self, before: bytes, after: bytes, lead: bytes = b"", turning: _Turning | None = None) -> None:
        self._before = before
        self._lead = lead
        self._turning = turning
        self._after = after

    @property
    def bytes_held(self) -> int:
        """About the memory that it takes."""
        turning = self._turning.bytes_held if self._turning else 0
        return len(self._before) + len(self._lead) + turning + len(self._after) + 300

    def whole(self, asked: bytes) -> bytes:
        """All but the identity, where that is the same each time; else empty."""
        return b"" if self._turning else self._before + asked + self._lead + self._after

    def sent_to(self, identity: bytes, asked: bytes) -> bytes:
        """The bytes for a client with this message identity, whose question is spelled like this."""
        if self._turning is None:
            return identity + self._before + asked + self._lead + self._after
        return identity + self._before + asked + self._lead + self._turning.next() + self._after


def write(question: Question, answer: Answer, limit: int, recursion_available: bool) -> Message:
    """The response to `question`. At most `limit` bytes, which must be 512 or more."""
    rcode = answer.rcode if answer.rcode <= _PLAIN_RCODE or question.payload else SERVFAIL
    options = _options(question, rcode)
    is_long = limit == LONGEST_MESSAGE and _is_long(answer.answers)
    writer = RecordWriter(question.name, question.asked, limit - len(options), compress_targets=is_long)
    fixed, movable = _divided(answer.answers)
    answered = writer.put_all(fixed)
    lead, turning = writer.after_question(), None
    if movable and answered == len(fixed):
        turning, shown = _put_turning(writer, movable)
        answered += shown
    is_whole = answered == len(answer.answers)
    referred = writer.put_sets(answer.authority) if is_whole else 0
    added = writer.put_sets(answer.additional) if is_whole else 0
    flags = _flags(question, answer, rcode, recursion_available) | (0 if is_whole else TRUNCATED)
    before = _COUNTS.pack(flags, 1, answered, referred, added + bool(options))
    return Message(before, writer.after_question() + options, lead, turning)


def write_error(question: Question, rcode: int, recursion_available: bool) -> bytes:
    """A response without records, which is nobody's authority."""
    message = write(question, Answer(rcode, authoritative=False), SHORTEST_LIMIT, recursion_available)
    return message.sent_to(question.identity, question.asked)


def _flags(question: Question, answer: Answer, rcode: int, recursion_available: bool) -> int:
    flags = RESPONSE | question.flags & SENT_BACK_FLAGS | rcode & _PLAIN_RCODE
    flags |= AUTHORITATIVE if answer.authoritative else 0
    flags |= AUTHENTIC if answer.authentic else 0
    return flags | (RECURSION_AVAILABLE if recursion_available else 0)


def _divided(answers: Sequence[Record]) -> tuple[Sequence[Record], Sequence[Record]]:
    """The records that come in this order, aliases that lead to a name, and those of the name that take turns."""
    aliases = 0
    while aliases < len(answers) and answers[aliases].record_type == CNAME:
        aliases += 1
    found = answers[aliases:]
    if len(found) < 2 or found[0].record_type not in _TURNING_TYPES:
        return answers, ()
    owner, record_type = found[0].owner, found[0].record_type
    if any(each.owner != owner or each.record_type != record_type for each in found):
        return answers, ()
    return answers[:aliases], found


def _put_turning(writer: RecordWriter, found: Sequence[Record]) -> tuple[_Turning | None, int]:
    """All of the records, of which as many are shown as fit, and how many that is."""
    records = writer.movable(found)
    length = sum(len(each) for each in records)
    if length <= writer.room:
        writer.reserve(length)
        return _Turning(records, len(records)), len(records)
    shown = writer.room // max(len(each) for each in records)
    return (_Turning(records, shown) if shown else None), shown


def _options(question: Question, rcode: int) -> bytes:
    """The OPT record of the response; a question without one gets none (RFC 6891, 7)."""
    if not question.payload:
        return b""
    return _OPT_RECORD.pack(0, 41, LONGEST_DATAGRAM, rcode >> 4, 0, 0x8000 if question.dnssec_ok else 0, 0)


def _is_long(records: Sequence[Record]) -> bool:
    return sum(len(each.data) for each in records) + len(records) * 12 > LONGEST_MESSAGE - 1024
