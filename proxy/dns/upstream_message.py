"""Messages to and from upstream, and what a client gets of them.

Invariant: a question goes out under an identity and with a spelling that nobody can foresee (RFC 5452; 0x20), so that a
forged response is not believed and our own question, coming back, is recognised.
"""

import enum
import struct
from collections.abc import Iterable
from random import Random
from typing import NamedTuple

from proxy.dns.answer import Answer, Record
from proxy.dns.incoming_message import IncomingRecord, MalformedMessageError, read_message
from proxy.dns.message import LONGEST_DATAGRAM, write
from proxy.dns.question import (
    AUTHENTIC,
    CHECKING_DISABLED,
    HEADER_BYTES,
    RECURSION_DESIRED,
    RESPONSE,
    TRUNCATED,
    Question,
)
from proxy.dns.record_types import FORMERR, NOTIMP, REFUSED, SERVFAIL
from proxy.dns.resolution import Resolution
from proxy.dns.wire_name import WireName

_IN = 1
_HEADER = struct.Struct("!HHHHHH")
_TYPE_AND_CLASS = struct.Struct("!HH")
_OPT_RECORD = struct.Struct("!BHHIH")
_DNSSEC_OK = 0x8000
_OPCODE = 0x7800
_RCODE = 15
_WITHOUT_A_QUESTION = frozenset((FORMERR, SERVFAIL, NOTIMP, REFUSED))


class UpstreamQuery(NamedTuple):
    """A question in our own words: `data` is sent, `asked` are its bytes from the name on, `name` is in lower case."""

    data: bytes
    asked: bytes
    name: WireName

    @property
    def spelling(self) -> bytes:
        """The name as it is sent, the root's zero and all."""
        return self.asked[:-4]


class Verdict(enum.Enum):
    """What a datagram that came to our question's socket is."""

    FOREIGN = enum.auto()
    """No response to our question: not believed, the true one may yet come."""
    DOUBTFUL = enum.auto()
    """Cut off, or in another spelling than ours: to be had over TCP, where nobody forges it."""
    OURS = enum.auto()


def upstream_query(
    name: WireName, record_type: int, dnssec_ok: bool, checking_disabled: bool, random: Random
) -> UpstreamQuery:
    """The question, spelled anew."""
    asked = _respelled(name, random) + b"\0" + _TYPE_AND_CLASS.pack(record_type, _IN)
    flags = RECURSION_DESIRED | (CHECKING_DISABLED if checking_disabled else 0)
    options = _OPT_RECORD.pack(0, 41, LONGEST_DATAGRAM, _DNSSEC_OK if dnssec_ok else 0, 0)
    return UpstreamQuery(_HEADER.pack(random.getrandbits(16), flags, 1, 0, 0, 1) + asked + options, asked, name)


def judge(query: UpstreamQuery, data: bytes) -> Verdict:
    """Whether a datagram is the response to the query."""
    if len(data) < HEADER_BYTES or data[:2] != query.data[:2]:
        return Verdict.FOREIGN
    _, flags, questions, *_ = _HEADER.unpack_from(data)
    if not flags & RESPONSE or flags & _OPCODE:
        return Verdict.FOREIGN
    if not questions and flags & _RCODE in _WITHOUT_A_QUESTION:
        return Verdict.OURS
    asked = data[HEADER_BYTES : HEADER_BYTES + len(query.asked)]
    if questions != 1 or asked.lower() != query.asked.lower():
        return Verdict.FOREIGN
    return Verdict.DOUBTFUL if flags & TRUNCATED or asked != query.asked else Verdict.OURS


def read_response(query: UpstreamQuery, data: bytes) -> Resolution:
    """What a response to the query says. Raises MalformedMessageError."""
    _, flags, questions, *_ = _HEADER.unpack_from(data)
    if not questions:
        return Resolution(flags & _RCODE)
    message = read_message(data)
    if message.asked.lower() != query.asked.lower():
        raise MalformedMessageError("a response to another question")
    return Resolution(
        flags & _RCODE | (message.edns.extended_rcode << 4 if message.edns else 0),
        tuple(_records(message.answer, query.name)),
        tuple(_records(message.authority, query.name)),
        bool(flags & AUTHENTIC),
    )


def completed(question: Question, begun: Answer | None, resolution: Resolution, limit: int) -> bytes:
    """The client's response: what we know of the name itself, and behind it what upstream said."""
    answer = Answer(
        rcode=resolution.rcode,
        answers=[*(begun.answers if begun else ()), *resolution.answer],
        authority=list(resolution.authority),
        authoritative=begun is not None,
        authentic=resolution.authentic and begun is None and (question.dnssec_ok or bool(question.flags & AUTHENTIC)),
    )
    return write(question, answer, limit, recursion_available=True).sent_to(question.identity, question.asked)


def _records(found: Iterable[IncomingRecord], name: WireName) -> Iterable[Record]:
    """Those of class IN; an owner that is the name asked for has our own spelling, and is in lower case again."""
    for each in found:
        if each.record_class == _IN:
            owner = name if each.owner.lower() == name else each.owner
            yield Record(owner, each.record_type, each.ttl, each.data, each.host)


def _respelled(name: WireName, random: Random) -> bytes:
    """Each letter large or small by chance; the lengths of labels are below all letters."""
    return bytes(byte ^ 0x20 if 0x61 <= byte <= 0x7A and random.getrandbits(1) else byte for byte in name)
