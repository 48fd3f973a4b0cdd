"""Messages that are not ordinary questions: refused with the code that fits, or made ordinary.

Invariant: no bytes raise here; a refusal is never longer than what was sent; a response is never answered, so that two
servers cannot be made to talk for ever.
"""

import struct
from typing import NamedTuple

from proxy.dns.incoming_message import IncomingMessage, MalformedMessageError, read_message
from proxy.dns.message import write_error
from proxy.dns.question import HEADER_BYTES, ORDINARY_FLAGS, RECURSION_DESIRED, RESPONSE, Question
from proxy.dns.record_types import BADVERS, FORMERR, META_TYPES, NOTAUTH, NOTIMP, REFUSED, TSIG

LONGEST_QUESTION = 4_096
"""Far above any honest one."""
_MOST_RECORDS = 8
"""Likewise: there is EDNS, a signature, and what a zone transfer knows already."""

_HEADER = struct.Struct("!HHHHHH")
_OPCODE = 0x7800
_IN = 1


class Refusal(NamedTuple):
    """A response that says why there is no answer; `record_type` is what was asked for, where that can be read."""

    data: bytes
    rcode: int
    record_type: int | None = None


def read_unusual(data: bytes) -> Refusal | Question | None:
    """A refusal; or the question that it is after all; or None for what gets no answer."""
    if len(data) < HEADER_BYTES:
        return None
    _, flags, questions, *_ = _HEADER.unpack_from(data)
    if flags & RESPONSE:
        return None
    if flags & _OPCODE:
        return _header_alone(data, NOTIMP)
    if questions != 1 or len(data) > LONGEST_QUESTION:
        return _header_alone(data, FORMERR)  # several questions: RFC 9619
    try:
        return _judged(read_message(data, _MOST_RECORDS))
    except MalformedMessageError:
        return _header_alone(data, FORMERR)


def _judged(message: IncomingMessage) -> Refusal | Question:
    edns = message.edns
    question = Question(
        identity=message.identity,
        flags=message.flags & ORDINARY_FLAGS,
        name=message.name.lower(),
        record_type=message.record_type,
        asked=message.asked,
        payload=0 if edns is None else max(edns.payload, 1),
        dnssec_ok=edns is not None and edns.dnssec_ok,
        has_options=True,
    )
    if edns is not None and edns.version:
        return _refusal(question, BADVERS)
    if any(each.record_type == TSIG for each in message.additional):
        return _refusal(question, NOTAUTH)
    if message.record_class != _IN or message.record_type in META_TYPES:
        return _refusal(question, REFUSED)  # zone transfers among them
    return question


def _refusal(question: Question, rcode: int) -> Refusal:
    return Refusal(write_error(question, rcode, recursion_available=False), rcode, question.record_type)


def _header_alone(data: bytes, rcode: int) -> Refusal:
    flags = struct.unpack_from("!H", data, 2)[0]
    answered = RESPONSE | flags & (_OPCODE | RECURSION_DESIRED) | rcode
    return Refusal(data[:2] + struct.pack("!HHHHH", answered, 0, 0, 0, 0), rcode)
