"""What is written: whose turn it is, sizes, compression, case and flags."""

import random
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
from hypothesis import given
from hypothesis import strategies as st

from proxy.dns.name_index import NameIndex
from proxy.model.changes import Changes
from tests.dns.asking import PODS, WEB, Client, additional, addresses
from tests.dns.objects import crowd, endpoint, endpoint_slice, named_port, service


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


@pytest.mark.parametrize(("number", "is_cut_off"), [(700, False), (1000, True)])
def test_what_is_too_much_even_for_tcp_says_so(number: int, is_cut_off: bool) -> None:
    """Targets with the longest labels there are: 84 bytes each, compressed."""
    index = NameIndex("cluster.local", ("10.96.0.0/12",))
    pods = [endpoint(f"10.244.{i // 250}.{i % 250 + 1}", hostname=f"h{i:062}") for i in range(number)]
    slices = (endpoint_slice("pods", "s", pods, [named_port("http", 8080)]),)
    index.apply(Changes(services=(service("pods", "None"),), slices=slices))
    message = Client(index, datagrams=False).ask(PODS, "SRV")
    assert bool(message.flags & dns.flags.TC) == is_cut_off
    assert (len(addresses(message)) == number) == (not is_cut_off)
    assert len(addresses(message)) >= 700


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


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 4096, 65535])
def test_no_buffer_is_taken_to_be_smaller_than_dns_has_always_had(client: Client, size: int) -> None:
    message = client.ask(WEB, use_edns=0, payload=size)
    assert addresses(message) == ["10.96.1.1"]
    assert message.edns == 0
