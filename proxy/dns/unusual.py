"""Messages that are not ordinary questions: refused with the code that fits, or made ordinary.

dnspython reads them. Invariant: no bytes raise here; an error is answered with a header alone, which is never longer
than what was sent; a response is never answered, so that two servers cannot be made to talk for ever.
"""

import struct
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message

from proxy.dns.question import HEADER_BYTES, RECURSION_DESIRED, RESPONSE
from proxy.dns.record_types import BADVERS, FORMERR, META_TYPES, NOTAUTH, NOTIMP, REFUSED

LONGEST_QUESTION = 4_096
"""Far above any honest one, so that reading a hostile one stays cheap."""

_HEADER = struct.Struct("!HHHHHH")
_OPCODE = 0x7800
_IN = 1
_KEPT_FLAGS = dns.flags.RD | dns.flags.AD | dns.flags.CD


class Refusal(NamedTuple):
    """A response that says why there is no answer."""

    data: bytes
    rcode: int


def read_unusual(data: bytes) -> Refusal | bytes | None:
    """A refusal; or the same question in ordinary form; or None for what gets no answer at all."""
    if len(data) < HEADER_BYTES:
        return None
    _, flags, questions, *_ = _HEADER.unpack_from(data)
    if flags & RESPONSE:
        return None
    if flags & _OPCODE:
        return _refusal(data, NOTIMP)
    if questions != 1 or len(data) > LONGEST_QUESTION:
        return _refusal(data, FORMERR)  # several questions: RFC 9619
    try:
        message = dns.message.from_wire(data)
    except dns.message.UnknownTSIGKey:
        return _refusal(data, NOTAUTH)
    except (dns.exception.DNSException, ValueError):
        return _refusal(data, FORMERR)
    return _judged(message, data)


def _judged(message: dns.message.Message, data: bytes) -> Refusal | bytes:
    question = message.question[0]
    if message.edns > 0:
        return _bad_version(message)
    if question.rdclass != _IN or question.rdtype in META_TYPES:
        return _refusal(data, REFUSED)  # zone transfers among them
    plain = dns.message.make_query(question.name, question.rdtype)
    plain.id = message.id
    plain.flags = message.flags & _KEPT_FLAGS
    if message.edns == 0:
        plain.use_edns(0, message.ednsflags, message.payload)
    return plain.to_wire()


def _bad_version(message: dns.message.Message) -> Refusal:
    """The version that we speak (RFC 6891, 6.1.3)."""
    response = dns.message.make_response(message, our_payload=1232)
    response.set_rcode(dns.rcode.BADVERS)
    return Refusal(response.to_wire(), BADVERS)


def _refusal(data: bytes, rcode: int) -> Refusal:
    flags = struct.unpack_from("!H", data, 2)[0]
    answered = RESPONSE | flags & (_OPCODE | RECURSION_DESIRED) | rcode
    return Refusal(data[:2] + struct.pack("!HHHHH", answered, 0, 0, 0, 0), rcode)
