"""What strangers send: refused with the code that fits, never longer than what came, and nothing raises."""

import struct
from typing import Any

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.tsig
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.dns.responder import Responder, Unfinished
from tests.dns.asking import PODS, WEB, Client, addresses
from tests.dns.objects import crowd


@pytest.mark.parametrize(
    ("change", "rcode"),
    [
        ({"opcode": 4}, dns.rcode.NOTIMP),
        ({"opcode": 5}, dns.rcode.NOTIMP),
        ({"questions": 0}, dns.rcode.FORMERR),
        ({"questions": 2}, dns.rcode.FORMERR),
        ({"questions": 65535}, dns.rcode.FORMERR),
        ({"answers": 1}, dns.rcode.FORMERR),
        ({"additional": 1}, dns.rcode.FORMERR),
    ],
)
def test_a_header_that_makes_no_sense_gets_a_header(client: Client, change: dict[str, int], rcode: int) -> None:
    question = b"\x03web\x00\x00\x01\x00\x01"
    flags = 0x0100 | change.pop("opcode", 0) << 11
    counts = {"questions": 1, "answers": 0, "authority": 0, "additional": 0} | change
    data = client.responder.respond(struct.pack("!HHHHHH", 7, flags, *counts.values()) + question)
    assert isinstance(data, bytes)
    assert len(data) == 12
    identity, answered, *rest = struct.unpack("!HHHHHH", data)
    assert (identity, answered & 0x800F, rest) == (7, 0x8000 | rcode, [0, 0, 0, 0])


def test_two_questions_in_one_message_are_refused_whatever_they_are(client: Client) -> None:
    query = dns.message.make_query(WEB, "A")
    query.question.append(dns.message.make_query(PODS, "A").question[0])
    data = client.responder.respond(query.to_wire())
    assert isinstance(data, bytes)
    assert data[3] & 15 == dns.rcode.FORMERR


def test_a_response_gets_no_answer(client: Client) -> None:
    query = dns.message.make_query(WEB, "A")
    query.flags |= dns.flags.QR
    assert client.responder.respond(query.to_wire()) is None
    assert client.responder.counter.dropped == 1


@pytest.mark.parametrize(
    ("query", "rcode"),
    [
        (dns.message.make_query(WEB, "AXFR"), dns.rcode.REFUSED),
        (dns.message.make_query(WEB, "IXFR"), dns.rcode.REFUSED),
        (dns.message.make_query("version.bind.", "TXT", "CH"), dns.rcode.REFUSED),
        (dns.message.make_query(WEB, "A", "ANY"), dns.rcode.REFUSED),
        (dns.message.make_query(WEB, "A", "CH", use_edns=0), dns.rcode.REFUSED),
        (dns.message.make_query(WEB, "A", use_edns=1), dns.rcode.BADVERS),
        (dns.message.make_query(WEB, "A", use_edns=255, payload=100, want_dnssec=True), dns.rcode.BADVERS),
    ],
)
def test_what_is_well_formed_and_not_for_us_is_refused_with_its_question(
    client: Client, query: Any, rcode: int
) -> None:
    sent = query.to_wire()
    data = client.responder.respond(sent)
    assert isinstance(data, bytes)
    assert len(data) <= len(sent)
    response = dns.message.from_wire(data)
    assert response.rcode() == rcode
    assert response.question == query.question
    assert response.edns == (0 if query.edns >= 0 else -1)
    assert not response.flags & dns.flags.AA


def test_a_signature_that_nobody_knows_is_not_believed(client: Client) -> None:
    query = dns.message.make_query(WEB, "A")
    query.use_tsig(dns.tsig.Key("key.", b"secret", "hmac-sha256."))
    data = client.responder.respond(query.to_wire())
    assert isinstance(data, bytes)
    assert data[3] & 15 == dns.rcode.NOTAUTH


def test_names_of_the_greatest_length_are_answered_and_longer_ones_are_no_names(client: Client) -> None:
    longest = f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 31}.{WEB}"
    assert len(dns.name.from_text(longest).to_wire() or b"") == 255
    for edns in (-1, 0):
        message = client.ask(longest, use_edns=edns)
        assert (message.rcode(), len(message.authority)) == (dns.rcode.NXDOMAIN, 1)
    labels = b"".join(bytes((size,)) + b"a" * size for size in (63, 63, 63, 63))
    data = client.responder.respond(struct.pack("!HHHHHH", 1, 0, 1, 0, 0, 0) + labels + b"\0\0\1\0\1")
    assert isinstance(data, bytes)
    assert data[3] & 15 == dns.rcode.FORMERR


def test_an_unusual_question_is_answered_like_an_ordinary_one(client: Client) -> None:
    query = dns.message.make_query(WEB, "A", flags=dns.flags.RD | dns.flags.AA)
    query.additional.append(dns.rrset.from_text("x.example.", 5, "IN", "A", "192.0.2.1"))
    data = client.responder.respond(query.to_wire())
    assert isinstance(data, bytes)
    assert addresses(dns.message.from_wire(data)) == ["10.96.1.1"]


def question(name: bytes) -> bytes:
    return struct.pack("!HHHHHH", 1, 0x0100, 1, 0, 0, 0) + name + b"\x00\x01\x00\x01"


# The classes of RFC 9267: pointers that loop, lead forward or out of the message, labels and names that are too long or
# cut off, counts and lengths that promise more than there is.
HOSTILE = [
    question(b"\xc0\x0c"),
    question(b"\x01a\xc0\x0c"),
    question(b"\xc0\x0e\xc0\x0c"),
    question(b"\xc0\xff"),
    question(b"\xff\xff"),
    question(b"\x40a\x00"),
    question(b"\x80a\x00"),
    question(b"\x3f" + b"a" * 63),
    question((b"\x3f" + b"a" * 63) * 4 + b"\x00"),
    question(b"\x01a" * 127 + b"\x01a\x00"),
    question(b"\x01a" * 300 + b"\x00"),
    question(b"\x05ab"),
    question(b"\x00")[:-1],
    question(b"\x00")[:-4],
    question(b"\x00") + b"\x00",
    question(b"\x00") + b"\xff" * 400,
    struct.pack("!HHHHHH", 1, 0x0100, 1, 0, 0, 1) + b"\x00\x00\x01\x00\x01" + b"\x00\x00\x29\x04\xd0\0\0\0\0\xff\xff",
    struct.pack("!HHHHHH", 1, 0x0100, 1, 0, 0, 1)
    + b"\x00\x00\x01\x00\x01"
    + b"\x00\x00\x29\x04\xd0\0\0\0\0\0\x06\0\x0a\xff\xffab",
    struct.pack("!HHHHHH", 1, 0x0100, 1, 0, 0, 2) + b"\x00\x00\x01\x00\x01" + b"\x00\x00\x29\x04\xd0\0\0\0\0\0\0" * 2,
    struct.pack("!HHHHHH", 1, 0x0100, 1, 65535, 65535, 65535) + b"\x00\x00\x01\x00\x01",
    b"",
    b"\x00",
    b"\x00" * 12,
    b"\xff" * 12,
    b"\x00" * 4097,
    struct.pack("!HHHHHH", 1, 0x0100, 1, 4000, 0, 0)
    + b"\x00\x00\x01\x00\x01"
    + b"\xc0\x0c\x00\x01\x00\x01\0\0\0\0\0\0" * 300,
]


@pytest.fixture(scope="module")
def responders() -> list[Responder]:
    index = crowd(30)
    return [Responder(index, 5, datagrams, recursive) for datagrams in (True, False) for recursive in (True, False)]


@pytest.mark.parametrize("data", HOSTILE)
def test_a_malformed_message_is_dropped_or_gets_an_error_no_longer_than_it(responders: Any, data: bytes) -> None:
    for responder in responders:
        check(responder, data)
        response = responder.respond(data)
        if isinstance(response, bytes):
            assert len(response) <= len(data)
            assert response[3] & 15 in (dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.REFUSED)


def check(responder: Responder, data: bytes) -> None:
    """Whatever is sent: an answer within its limit, to this message, or none."""
    response = responder.respond(data)
    if isinstance(response, bytes):
        assert response[:2] == data[:2]
        assert response[2] & 0x80
        assert len(response) <= (allowed(data) if responder.counter.transport == "udp" else 65535)
        dns.message.from_wire(response)
    else:
        assert response is None or isinstance(response, Unfinished)


def allowed(data: bytes) -> int:
    """How long a datagram may be that answers this one: what its EDNS says, 512 without, 1232 at most."""
    try:
        payload = dns.message.from_wire(data, ignore_trailing=True, raise_on_truncation=False).payload
    except (dns.exception.DNSException, ValueError):
        return 512
    return min(max(payload, 512), 1232)


well_formed = st.builds(
    lambda name, record_type, size, do: dns.message.make_query(
        name, record_type, use_edns=0 if size else -1, payload=size, want_dnssec=do
    ).to_wire(),
    st.sampled_from([PODS, WEB, "x.example.", ".", f"_http._tcp.{PODS}"]),
    st.integers(1, 65535).filter(lambda number: number not in (250, 249)),
    st.sampled_from([0, 512, 1232, 65535]),
    st.booleans(),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """An ordinary question with some bytes changed, lost or added."""
    data = bytearray(draw(well_formed))
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["change", "cut", "add"])):
            case "change" if data:
                data[position] = draw(st.integers(0, 255))
            case "cut":
                del data[position:]
            case _:
                data[position:position] = draw(st.binary(max_size=20))
    return bytes(data)


@given(st.one_of(st.binary(max_size=600), well_formed, damaged()))
@example(b"\x00" * 17)
def test_no_bytes_raise(responders: Any, data: bytes) -> None:
    for responder in responders:
        check(responder, data)


@given(well_formed)
def test_an_ordinary_question_is_answered_in_ordinary_size(responders: Any, data: bytes) -> None:
    response = responders[1].respond(data)
    assert isinstance(response, bytes)
    assert len(response) <= allowed(data)
