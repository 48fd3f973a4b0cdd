"""From bytes to bytes: sizes, turns, case, what is kept, and what strangers send."""

import random
import struct
import tracemalloc
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

from proxy.dns.message import write
from proxy.dns.name_index import NameIndex
from proxy.dns.responder import Responder, Unfinished
from proxy.model.changes import Changes
from proxy.model.service import Service
from tests.dns.conftest import Client
from tests.dns.objects import endpoint, endpoint_slice, named_port, service

PODS = "pods.default.svc.cluster.local."
WEB = "web.default.svc.cluster.local."


def crowd(number: int) -> NameIndex:
    """A headless Service with so many endpoints."""
    index = NameIndex("cluster.local", ("10.96.0.0/12",))
    each = [endpoint(f"10.244.{i // 250}.{i % 250 + 1}") for i in range(number)]
    slices = (endpoint_slice("pods", "s", each, [named_port("http", 8080)]),)
    index.apply(Changes(services=(service("pods", "None"), alias("alias", PODS)), slices=slices))
    return index


def alias(name: str, target: str) -> Service:
    return service(name, type="ExternalName", externalName=target.removesuffix("."))


def addresses(message: dns.message.Message) -> list[str]:
    return [data.to_text() for records in message.answer for data in records]


def test_the_answers_of_a_headless_service_take_turns(client: Client) -> None:
    first = [addresses(client.ask(f"{PODS}"))[0] for _ in range(6)]
    assert first == ["10.244.1.1", "10.244.1.2"] * 3


def test_they_do_behind_the_alias_of_another_service_too() -> None:
    index = crowd(100)
    client = Client(index)
    alias_name = "alias.default.svc.cluster.local."
    seen = []
    for _ in range(100):
        message = client.ask(alias_name, use_edns=0)
        assert [str(records.name) for records in message.answer] == [alias_name, PODS]
        seen.append(addresses(message)[1])
    assert len(set(seen)) == 100
    index.apply(Changes(removed_services=(("default", "pods"),)))
    message = client.ask(alias_name, use_edns=0)
    assert (message.rcode(), addresses(message)) == (dns.rcode.NXDOMAIN, [PODS])


def test_aliases_that_leave_no_room_for_addresses_say_so() -> None:
    index = NameIndex("cluster.local", ("10.96.0.0/12",))
    longest = [f"{letter * 63}.{letter * 63}" for letter in "abcdefg"]
    chain = [
        service(one.partition(".")[0], namespace=one.partition(".")[2], type="ExternalName", externalName=target)
        for one, target in zip(
            longest, [*(f"{each}.svc.cluster.local" for each in longest[1:]), PODS[:-1]], strict=True
        )
    ]
    pods = endpoint_slice("pods", "s", [endpoint("10.244.0.1"), endpoint("10.244.0.2")])
    index.apply(Changes(services=(*chain, service("pods", "None")), slices=(pods,)))
    name = f"{longest[0]}.svc.cluster.local."
    assert Client(index).ask(name).flags & dns.flags.TC
    whole = Client(index, datagrams=False).ask(name)
    assert not whole.flags & dns.flags.TC
    assert sorted(addresses(whole))[:2] == ["10.244.0.1", "10.244.0.2"]


@pytest.mark.parametrize(("datagrams", "number"), [(True, 3), (True, 100), (False, 100), (False, 1000)])
def test_targets_take_turns_as_well_and_their_addresses_are_right(datagrams: bool, number: int) -> None:
    """With what comes after them, without, and where they have to be compressed."""
    client = Client(crowd(number), datagrams)
    seen = set()
    rounds = min(number, 6)
    for _ in range(rounds):
        message = client.ask(f"_http._tcp.{PODS}", "SRV", use_edns=0)
        targets = [data.target.to_text() for data in message.answer[0]]
        seen.add(targets[0])
        assert bool(message.flags & dns.flags.TC) == (len(targets) < number)
        for name, address in additional(message):
            assert name in targets
            assert name.startswith(address.replace(".", "-"))
    assert len(seen) == rounds


def test_questions_with_options_of_their_own_take_turns_as_well(client: Client) -> None:
    cookies = [dns.edns.GenericOption(dns.edns.OptionType.COOKIE, bytes((number,)) * 8) for number in range(4)]
    first = [addresses(client.ask(PODS, options=[cookie], use_edns=0))[0] for cookie in cookies]
    assert first == ["10.244.1.1", "10.244.1.2"] * 2


def test_answers_take_turns_over_tcp_as_well(stream_client: Client) -> None:
    assert [addresses(stream_client.ask(PODS))[0] for _ in range(3)] == ["10.244.1.1", "10.244.1.2", "10.244.1.1"]


@pytest.mark.parametrize(
    ("options", "limit"),
    [({}, 512), ({"use_edns": 0, "payload": 512}, 512), ({"use_edns": 0, "payload": 100}, 512)]
    + [({"use_edns": 0, "payload": size}, min(size, 1232)) for size in (700, 1232, 4096, 65535)],
)
def test_a_datagram_is_as_long_as_the_client_takes_and_says_what_is_missing(options: Any, limit: int) -> None:
    client = Client(crowd(1000))
    for record_type in ("A", "SRV"):
        query = dns.message.make_query(PODS, record_type, **options)
        data = client.responder.respond(query.to_wire())
        assert isinstance(data, bytes)
        assert limit - 100 < len(data) <= limit
        message = dns.message.from_wire(data)
        assert message.flags & dns.flags.TC
        assert bool(message.edns >= 0) == bool(options)


def test_what_is_cut_off_takes_turns_over_all_endpoints() -> None:
    client = Client(crowd(100))
    seen = {address for _ in range(100) for address in addresses(client.ask(PODS))}
    assert len(seen) == 100


@pytest.mark.parametrize("record_type", ["A", "SRV"])
def test_a_thousand_endpoints_fit_over_tcp(record_type: str) -> None:
    message = Client(crowd(1000), datagrams=False).ask(PODS, record_type)
    assert not message.flags & dns.flags.TC
    assert len(set(addresses(message))) == 1000


def test_srv_targets_are_not_compressed_where_there_is_room(client: Client) -> None:
    data = client.responder.respond(dns.message.make_query(f"_http._tcp.{WEB}", "SRV").to_wire())
    assert isinstance(data, bytes)
    assert data.count(dns.name.from_text(WEB).to_wire() or b"-") == 2  # in the question and in the target


def test_owners_are_compressed(client: Client) -> None:
    data = client.responder.respond(dns.message.make_query(WEB, "A").to_wire())
    assert isinstance(data, bytes)
    assert len(data) == 12 + 31 + 4 + 16


@given(st.randoms(use_true_random=False))
def test_the_case_of_a_question_is_kept(random: random.Random) -> None:
    client = Client(crowd(3))
    for name in (PODS, "nobody.default.svc.cluster.local.", "dns-version.cluster.local."):
        spelled = "".join(random.choice((letter.upper(), letter.lower())) for letter in name)
        query = dns.message.make_query(spelled, "A")
        data = client.responder.respond(query.to_wire())
        assert isinstance(data, bytes)
        message = dns.message.from_wire(data)
        assert message.question[0].name.labels == query.question[0].name.labels
        assert {records.name.labels for records in message.answer} <= {query.question[0].name.labels}


def test_flags_are_answered_as_asked(client: Client) -> None:
    message = client.ask(WEB, flags=dns.flags.RD | dns.flags.CD, use_edns=0, want_dnssec=True)
    assert message.flags & dns.flags.RD
    assert message.flags & dns.flags.CD
    assert message.ednsflags & dns.flags.DO
    assert message.payload == 1232
    assert not client.ask(WEB, flags=0).flags & dns.flags.RD


def test_a_change_is_in_the_next_answer(index: NameIndex, client: Client) -> None:
    for _ in range(2):
        assert addresses(client.ask(PODS)) != []
        assert client.ask("new.default.svc.cluster.local.").rcode() == dns.rcode.NXDOMAIN
    index.apply(Changes(services=(service("new", "10.96.7.7"),), removed_services=(("default", "pods"),)))
    assert addresses(client.ask("new.default.svc.cluster.local.")) == ["10.96.7.7"]
    assert client.ask(PODS).rcode() == dns.rcode.NXDOMAIN


def test_a_pod_is_found_by_its_address_as_soon_as_its_namespace_is_known(index: NameIndex, client: Client) -> None:
    name = "10-244-1-9.late.pod.cluster.local."
    assert client.ask(name).rcode() == dns.rcode.NXDOMAIN
    index.apply(Changes(services=(service("first", "10.96.7.7", namespace="late"),)))
    assert addresses(client.ask(name)) == ["10.244.1.9"]
    index.apply(Changes(removed_services=(("late", "first"),)))
    assert client.ask(name).rcode() == dns.rcode.NXDOMAIN


def test_the_name_server_of_the_zone_is_where_it_is_now(index: NameIndex, client: Client) -> None:
    assert additional(client.ask("cluster.local.", "NS")) == [("ns.dns.cluster.local.", "10.96.0.10")]
    index.serve_at(["10.96.0.10", "fd00:96::a"])
    assert additional(client.ask("cluster.local.", "NS")) == [
        ("ns.dns.cluster.local.", "10.96.0.10"),
        ("ns.dns.cluster.local.", "fd00:96::a"),
    ]


def additional(message: dns.message.Message) -> list[tuple[str, str]]:
    return [(str(records.name), data.to_text()) for records in message.additional for data in records]


def test_addresses_beside_a_target_are_all_of_its_addresses_or_none() -> None:
    """A resolver would take a part for the whole (RFC 2181, 9)."""
    index = NameIndex("cluster.local", ("10.96.0.0/12",))
    pods = [endpoint(f"10.244.{number}.{host}", hostname=f"h{host}") for host in range(1, 9) for number in range(5)]
    slices = (endpoint_slice("pods", "s", pods, [named_port("http", 8080)]),)
    index.apply(Changes(services=(service("pods", "None"),), slices=slices))
    shown = []
    for size in range(512, 1233, 16):
        message = Client(index).ask(PODS, "SRV", use_edns=0, payload=size)
        assert not message.flags & dns.flags.TC
        assert len(message.answer[0]) == 8
        assert {len(records) for records in message.additional} <= {5}
        shown.append(len(message.additional))
    assert shown == sorted(shown)
    assert shown[0] < shown[-1] == 8


def test_any_is_answered_with_one_set_of_records(client: Client) -> None:
    message = client.ask(WEB, "ANY")
    assert addresses(message) == ["10.96.1.1"]
    assert client.ask("svc.cluster.local.", "ANY").answer == []


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


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 4096, 65535])
def test_no_buffer_is_taken_to_be_smaller_than_dns_has_always_had(client: Client, size: int) -> None:
    message = client.ask(WEB, use_edns=0, payload=size)
    assert addresses(message) == ["10.96.1.1"]
    assert message.edns == 0


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


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch, index: NameIndex) -> None:
    monkeypatch.setattr("proxy.dns.responder.KEPT_MESSAGES", 50)
    client = Client(index)
    for number in range(500):
        client.ask(f"n{number}.default.svc.cluster.local.")
        client.ask(WEB, use_edns=0, payload=512 + number)
    assert client.responder.kept <= 100


def test_few_messages_are_written_whatever_a_stranger_varies(monkeypatch: pytest.MonkeyPatch) -> None:
    written = 0

    def counted(*arguments: Any) -> Any:
        nonlocal written
        written += 1
        return write(*arguments)

    monkeypatch.setattr("proxy.dns.responder.write", counted)
    responder = Client(crowd(100)).responder
    for flags in (0, dns.flags.RD, dns.flags.AD, dns.flags.CD, dns.flags.RD | dns.flags.CD):
        for size in range(1, 2000, 3):
            for do in (False, True):
                query = dns.message.make_query(PODS, "A", flags=flags, use_edns=0, payload=size, want_dnssec=do)
                responder.respond(query.to_wire())
    assert written <= 200


def test_what_is_kept_takes_a_bounded_part_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of those messages that only their shortcuts still know."""
    monkeypatch.setattr("proxy.dns.responder.KEPT_BYTES", 100_000)
    responder = Client(crowd(1000)).responder
    queries = [
        dns.message.make_query(PODS, "A", flags=flags, use_edns=0, payload=size).to_wire()
        for flags in (0, dns.flags.RD)
        for size in range(512, 1233, 48)
    ]
    responder.respond(queries[0])
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for query in queries:
            responder.respond(query)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 500_000  # a message holds the thousand addresses twice, 32 KB


def test_answers_are_counted_by_type_and_code(client: Client) -> None:
    for _ in range(3):
        client.ask(WEB)
    client.ask(WEB, "TYPE4711")
    client.ask("nobody.default.svc.cluster.local.", "AAAA")
    client.ask("example.com.")
    client.responder.respond(b"\x00" * 12)
    counts = {(each.record_type, each.rcode): each.answers for each in client.responder.counter.answers()}
    assert counts == {
        ("A", "NOERROR"): 3,
        ("other", "NOERROR"): 1,
        ("AAAA", "NXDOMAIN"): 1,
        ("A", "REFUSED"): 1,
        ("none", "FORMERR"): 1,
    }
