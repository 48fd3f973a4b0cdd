"""Other zones: what upstream says, whom to believe, and what to do where it says nothing."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from proxy.dns.forwarder import patience
from proxy.dns.settings import DNSBounds
from tests.dns.serving import OUTSIDE, WEB, Said, StartServer, StartUpstream, Upstream, answer, ask, says, texts
from tests.lane import free_port


@pytest.mark.parametrize("tcp", [False, True])
async def test_other_zones_are_forwarded_and_remembered(serve: StartServer, upstream: StartUpstream, tcp: bool) -> None:
    asked = await upstream(says("192.0.2.1"))
    server = await serve(asked.address)
    for _ in range(3):
        message = await ask(server, "www.EXAMPLE.", tcp=tcp)
        assert texts(message) == ["192.0.2.1"]
        assert message.question[0].name.to_text() == "www.EXAMPLE."
        assert message.answer[0].name.to_text() == "www.EXAMPLE."
        assert message.flags & dns.flags.RA
        assert not message.flags & dns.flags.AA
    assert [name.lower() for name in asked.asked] == ["www.example."]
    statistics = server.statistics()
    assert (statistics.forwarded, statistics.upstream_cache_hits) == (1, 2)


async def test_the_target_of_an_external_name_is_followed(serve: StartServer, upstream: StartUpstream) -> None:
    server = await serve((await upstream(says("192.0.2.1"))).address)
    message = await ask(server, OUTSIDE)
    assert texts(message) == ["www.example.", "192.0.2.1"]
    assert [records.name.to_text() for records in message.answer] == [OUTSIDE, "www.example."]
    assert texts(await ask(server, OUTSIDE, "CNAME")) == ["www.example."]


async def test_an_external_name_is_answered_without_its_upstream(serve: StartServer, upstream: StartUpstream) -> None:
    server = await serve((await upstream(says(rcode=dns.rcode.SERVFAIL))).address)
    message = await ask(server, OUTSIDE)
    assert (message.rcode(), texts(message)) == (dns.rcode.NOERROR, ["www.example."])


async def test_without_recursion_desired_nobody_is_asked(serve: StartServer, upstream: StartUpstream) -> None:
    asked = await upstream(says("192.0.2.1"))
    server = await serve(asked.address)
    assert (await ask(server, "www.example.", flags=0)).rcode() == dns.rcode.REFUSED
    assert texts(await ask(server, OUTSIDE, flags=0)) == ["www.example."]
    assert asked.asked == []


async def test_the_next_server_is_asked_where_one_fails(serve: StartServer, upstream: StartUpstream) -> None:
    broken = await upstream(says(rcode=dns.rcode.SERVFAIL))
    good = await upstream(says("192.0.2.1"))
    server = await serve(("127.0.0.1", free_port()), broken.address, good.address)
    assert texts(await ask(server, "www.example.")) == ["192.0.2.1"]
    assert texts(await ask(server, "other.example.")) == ["192.0.2.1"]
    assert len(broken.asked) == 1  # the one that answered is asked first from then on


async def test_nobody_left_is_a_failure(serve: StartServer, upstream: StartUpstream) -> None:
    server = await serve((await upstream(says(rcode=dns.rcode.SERVFAIL))).address)
    assert (await ask(server, "www.example.")).rcode() == dns.rcode.SERVFAIL
    assert server.statistics().upstream_failures == 1


async def test_many_clients_of_one_question_are_one_question(serve: StartServer, upstream: StartUpstream) -> None:
    release = asyncio.Event()
    asked: Upstream = await upstream(lambda query: None)
    server = await serve(asked.address)
    clients = [asyncio.create_task(ask(server, "www.example.")) for _ in range(20)]
    async with asyncio.timeout(10):
        while not asked.asked:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
    release.set()
    asked.handle = says("192.0.2.1")
    assert all(texts(message) == ["192.0.2.1"] for message in await asyncio.gather(*clients))
    assert len(asked.asked) <= 2


def forged(query: dns.message.Message, **change: Any) -> dns.message.Message:
    """What somebody would send who knows only part of the question."""
    wrong = answer(query, "192.0.2.66")
    for name, value in change.items():
        setattr(wrong, name, value)
    return wrong


def another_question(query: dns.message.Message, name: str, record_type: str) -> dns.message.Message:
    other = dns.message.make_query(name, record_type)
    other.id = query.id
    return answer(other, "192.0.2.66")


FORGERIES: dict[str, Callable[[dns.message.Message], Said]] = {
    "another identity": lambda query: forged(query, id=query.id ^ 1),
    "a question": lambda query: forged(query, flags=0),
    "another name": lambda query: another_question(query, "other.example.", "A"),
    "a longer name": lambda query: another_question(query, "www.example.x.", "A"),
    "another type": lambda query: another_question(query, query.question[0].name.to_text(), "AAAA"),
    "another opcode": lambda query: forged(query, flags=query.flags | dns.flags.QR | 4 << 11),
    "a header alone": lambda query: query.id.to_bytes(2) + b"\x80\0" + bytes(8),
    "nonsense": lambda query: b"nonsense",
    "nothing": lambda query: b"",
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_response_is_not_believed(serve: StartServer, upstream: StartUpstream, forgery: str) -> None:
    asked = await upstream(lambda query: (FORGERIES[forgery](query), answer(query, "192.0.2.1")))
    server = await serve(asked.address)
    assert texts(await ask(server, "www.example.")) == ["192.0.2.1"]
    assert (len(asked.asked), asked.asked_by_stream) == (1, [])


async def test_a_response_from_another_address_is_not_believed(serve: StartServer, upstream: StartUpstream) -> None:
    def handle(query: dns.message.Message) -> dns.message.Message:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.2", 0))
            stranger.sendto(answer(query, "192.0.2.66").to_wire(), asked.client)
        return answer(query, "192.0.2.1")

    asked = await upstream(handle)
    server = await serve(asked.address)
    assert texts(await ask(server, "www.example.")) == ["192.0.2.1"]


def in_another_spelling(query: dns.message.Message) -> dns.message.Message:
    return another_question(query, query.question[0].name.to_text().swapcase(), "A")


async def test_a_response_in_another_spelling_is_had_over_tcp_instead(
    serve: StartServer, upstream: StartUpstream
) -> None:
    """Some servers lose the spelling; over TCP nobody forges it."""
    asked = await upstream(lambda query: (in_another_spelling(query), answer(query, "192.0.2.1")))
    server = await serve(asked.address)
    assert texts(await ask(server, "www.example.")) == ["192.0.2.66"]
    assert (len(asked.asked), asked.asked_by_stream) == (1, asked.asked)


@pytest.mark.parametrize(
    "said",
    [
        lambda query: answer(query, *(f"192.0.{number // 250}.{number % 250}" for number in range(1001))),
        lambda query: answer(query, "192.0.2.1").to_wire()[:-1],
        lambda query: query.to_wire() + b"x",
        lambda query: query.id.to_bytes(2) + b"\x84\0",
        lambda query: None,
    ],
    ids=["too much", "cut off", "no response", "less than a header", "nothing"],
)
async def test_what_cannot_be_understood_over_tcp_is_a_failure(
    serve: StartServer, upstream: StartUpstream, said: Callable[[dns.message.Message], Said | None]
) -> None:
    def handle(query: dns.message.Message) -> Said | None:
        return said(query) if len(asked.asked_by_stream) == len(asked.asked) else truncated(query)

    asked = await upstream(handle)
    server = await serve(asked.address)
    assert (await ask(server, "www.example.")).rcode() == dns.rcode.SERVFAIL
    assert len(asked.asked) == len(asked.asked_by_stream) == 2


def truncated(query: dns.message.Message) -> dns.message.Message:
    response = answer(query)
    response.flags |= dns.flags.TC
    return response


@pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.NOTIMP, dns.rcode.FORMERR])
@pytest.mark.parametrize("with_question", [True, False])
async def test_a_server_that_will_not_answer_is_passed_over(
    serve: StartServer, upstream: StartUpstream, rcode: int, with_question: bool
) -> None:
    def refuse(query: dns.message.Message) -> dns.message.Message:
        response = answer(query, rcode=rcode)
        response.question = query.question if with_question else []
        return response

    unwilling, good = await upstream(refuse), await upstream(says("192.0.2.1"))
    server = await serve(unwilling.address, good.address)
    assert texts(await ask(server, "www.example.")) == ["192.0.2.1"]
    alone = await serve(unwilling.address)
    assert (await ask(alone, "www.example.")).rcode() == rcode
    assert texts(await ask(alone, OUTSIDE)) == ["www.example."]


async def test_a_code_that_the_header_has_no_room_for_needs_edns(serve: StartServer, upstream: StartUpstream) -> None:
    server = await serve((await upstream(says(rcode=dns.rcode.BADCOOKIE))).address)
    assert (await ask(server, "www.example.", use_edns=0)).rcode() == dns.rcode.BADCOOKIE
    assert (await ask(server, "www.example.")).rcode() == dns.rcode.SERVFAIL


async def test_a_silent_server_is_waited_for_and_passed_over(
    serve: StartServer, upstream: StartUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.dns.forwarder.LONGEST_PATIENCE", 0.05)
    silent, good = await upstream(lambda query: None), await upstream(says("192.0.2.1"))
    server = await serve(silent.address, good.address)
    assert texts(await ask(server, "www.example.")) == ["192.0.2.1"]
    alone = await serve(silent.address)
    assert (await ask(alone, "www.example.")).rcode() == dns.rcode.SERVFAIL
    assert len(silent.asked) == 3


@pytest.mark.parametrize("servers", [1, 2, 3, 4, 20])
def test_all_servers_together_are_waited_for_less_long_than_the_c_library_waits(servers: int) -> None:
    exchanges = servers * 2
    assert 0.5 <= patience(exchanges) <= 1.5
    assert patience(exchanges) * exchanges < 5 or patience(exchanges) == 0.5


def test_without_servers_nobody_is_waited_for() -> None:
    assert patience(0) == 0.0


@pytest.mark.parametrize("rcode", [dns.rcode.NXDOMAIN, dns.rcode.NOERROR])
async def test_an_absence_is_remembered_by_its_soa_alone(
    serve: StartServer, upstream: StartUpstream, rcode: int
) -> None:
    def absent(query: dns.message.Message) -> dns.message.Message:
        response = answer(query, rcode=rcode)
        name = query.question[0].name
        if name.to_text().lower().startswith("with."):
            soa = dns.rrset.from_text(name.parent(), 60, "IN", "SOA", f"ns.{name} me.{name} 1 2 3 4 30")
            response.authority.append(soa)
        return response

    asked = await upstream(absent)
    server = await serve(asked.address)
    for name in ("with.soa.", "without.soa."):
        for _ in range(2):
            message = await ask(server, name)
            assert (message.rcode(), texts(message)) == (rcode, [])
    assert [name.lower() for name in asked.asked] == ["with.soa.", "without.soa.", "without.soa."]
    (soa,) = (await ask(server, "with.soa.")).authority
    assert (str(soa.name), str(soa[0])) == ("soa.", "ns.with.soa. me.with.soa. 1 2 3 4 30")


async def test_every_type_comes_through_as_it_was_said(serve: StartServer, upstream: StartUpstream) -> None:
    values = {
        "MX": ["10 mail.Example.", "20 Mail.other."],
        "SRV": ["1 2 3 host.example."],
        "TXT": ['"some text" "more"'],
        "NS": ["ns.example.", "ns.other."],
        "HTTPS": ['1 . alpn="h2"'],
        "SOA": ["ns.example. me.example. 1 2 3 4 5"],
        "NAPTR": ['1 2 "u" "" "" .'],
    }

    def handle(query: dns.message.Message) -> dns.message.Message:
        response = answer(query)
        (question,) = query.question
        found = values[dns.rdatatype.to_text(question.rdtype)]
        response.answer.append(dns.rrset.from_text(question.name, 60, "IN", question.rdtype, *found))
        return response

    server = await serve((await upstream(handle)).address)
    for record_type, found in values.items():
        message = await ask(server, "Mixed.CASE.example.", record_type)
        assert sorted(each.lower() for each in texts(message)) == sorted(each.lower() for each in found)
        assert message.answer[0].name.to_text() == "Mixed.CASE.example."


async def test_questions_that_wait_for_upstream_are_bounded(
    serve: StartServer, upstream: StartUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.dns.name_server.MOST_WAITING", 10)
    asked = await upstream(lambda query: None)
    server = await serve(asked.address, bounds=DNSBounds(exchanges=5))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        for number in range(60):
            query = dns.message.make_query(f"n{number}.example.", "A")
            flood.sendto(query.to_wire(), server.addresses[0])
        while server.statistics().dropped < 40:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
    assert server.statistics().forwarded <= 15
    assert sum(task.get_name() == "ask upstream" for task in asyncio.all_tasks()) <= 5
    assert texts(await ask(server, WEB)) == ["10.96.0.1"]


async def test_an_upstream_that_leads_back_to_us_is_refused_and_said_once(
    serve: StartServer, upstream: StartUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    pending: set[asyncio.Task[Any]] = set()

    async def back(query: dns.message.Message, client: Any) -> None:
        host, port = server.addresses[0]
        response = await dns.asyncquery.udp(query, host, 10, port)
        asked.transport.sendto(response.to_wire(), client)

    asked: Any = await upstream(lambda query: None)

    def received(data: bytes, client: Any) -> None:
        pending.add(loop.create_task(back(dns.message.from_wire(data), client)))

    asked.datagram_received = received
    server = await serve(asked.address)
    message = await ask(server, "www.example.com.")
    assert message.rcode() == dns.rcode.REFUSED
    await ask(server, "other.example.com.")
    await asyncio.gather(*pending)
    assert sum("asks us what we ask it" in record.getMessage() for record in caplog.records) == 1
