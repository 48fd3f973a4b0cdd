"""Messages to and from upstream, and what a client gets of them.

dnspython writes and reads them. Invariant: a question goes out under an identity and with a spelling that nobody can
foresee (RFC 5452; 0x20), so that a forged response is not believed and our own question, coming back, is recognised.
"""

from collections.abc import Iterable
from random import Random

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from proxy.dns.answer import Answer, Record
from proxy.dns.message import LONGEST_DATAGRAM
from proxy.dns.question import CHECKING_DISABLED, Question
from proxy.dns.resolution import Resolution
from proxy.dns.wire_name import WireName


def upstream_query(
    name: WireName, record_type: int, dnssec_ok: bool, checking_disabled: bool, random: Random
) -> dns.message.QueryMessage:
    """The question in our own words."""
    spelled = bytes(byte ^ 0x20 if _is_letter(byte) and random.getrandbits(1) else byte for byte in name)
    asked = dns_name(spelled)
    query = dns.message.make_query(asked, _type(record_type), want_dnssec=dnssec_ok, payload=LONGEST_DATAGRAM)
    query.id = random.getrandbits(16)
    query.flags |= dns.flags.CD if checking_disabled else 0
    return query


def resolution_of(response: dns.message.Message, name: WireName) -> Resolution:
    """What the response says, the name asked for in lower case again."""
    asked = dns_name(name)
    return Resolution(
        int(response.rcode()),
        tuple(_renamed(response.answer, asked)),
        tuple(_renamed(response.authority, asked)),
        bool(response.flags & dns.flags.AD),
    )


def completed(question: Question, begun: Answer | None, resolution: Resolution, limit: int) -> bytes:
    """The client's response: what we know of the name itself, and behind it what upstream said."""
    query = dns.message.make_query(dns.name.from_wire(question.asked, 0)[0], _type(question.record_type))
    query.id = int.from_bytes(question.identity)
    query.flags = question.flags
    if question.payload:
        query.use_edns(0, 0, question.payload)
    response = dns.message.make_response(query, recursion_available=True, our_payload=LONGEST_DATAGRAM)
    response.flags |= question.flags & CHECKING_DISABLED
    response.flags |= dns.flags.AA if begun is not None else 0
    if resolution.authentic and begun is None and (question.dnssec_ok or question.flags & dns.flags.AD):
        response.flags |= dns.flags.AD
    if question.payload and question.dnssec_ok:
        response.ednsflags |= dns.flags.DO
    response.set_rcode(dns.rcode.Rcode.make(resolution.rcode))
    response.answer = [*(_rrset(each) for each in (begun.answers if begun else ())), *resolution.answer]
    response.authority = list(resolution.authority)
    return response.to_wire(max_size=limit, prefer_truncation=True)


def spelling(query: dns.message.Message) -> bytes:
    """The name asked for as it is sent."""
    return query.question[0].name.to_wire() or b""


def dns_name(name: WireName) -> dns.name.Name:
    """The same name as dnspython has it."""
    return dns.name.from_wire(name + b"\0", 0)[0]


def _renamed(section: Iterable[dns.rrset.RRset], asked: dns.name.Name) -> Iterable[dns.rrset.RRset]:
    """With owners that are the name asked for, or above it, in lower case: they have our spelling."""
    for records in section:
        if asked.is_subdomain(records.name):
            records.name = records.name.canonicalize()
        yield records


def _rrset(record: Record) -> dns.rrset.RRset:
    data = dns.rdata.from_wire(dns.rdataclass.IN, _type(record.record_type), record.data, 0, len(record.data))
    return dns.rrset.from_rdata(dns_name(record.owner), record.ttl, data)


def _type(number: int) -> dns.rdatatype.RdataType:
    return dns.rdatatype.RdataType.make(number)


def _is_letter(byte: int) -> bool:
    return 0x61 <= byte <= 0x7A or 0x41 <= byte <= 0x5A
