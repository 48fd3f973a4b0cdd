"""The name server on real sockets, with an upstream of the test's own."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest

from proxy.control.listening_socket import open_listening_socket
from proxy.dns import tcp_server
from proxy.dns.name_server import NameServer
from proxy.dns.settings import DNSSettings
from proxy.model.changes import Changes
from proxy.plan.frontend import FrontendKey
from tests.dns.objects import endpoint, endpoint_slice, service

Handle = Callable[[dns.message.Message], dns.message.Message | None]
OUTSIDE = "outside.default.svc.cluster.local."


class Upstream(asyncio.DatagramProtocol):
    """A DNS server that says what the test wants. `asked` is every name as it was spelled."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.asked: list[str] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.address: tuple[str, int] = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, client: Any) -> None:
        query = dns.message.from_wire(data)
        self.asked.append(query.question[0].name.to_text())
        response = self.handle(query)
        if response is not None:
            self.transport.sendto(response.to_wire(), client)


def says(*texts: str, ttl: int = 60, rcode: int = 0) -> Handle:
    """Answers with these addresses."""

    def handle(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.set_rcode(dns.rcode.Rcode.make(rcode))
        if texts:
            response.answer.append(dns.rrset.from_text(query.question[0].name, ttl, "IN", "A", *texts))
        return response

    return handle


StartUpstream = Callable[[Handle], Awaitable[Upstream]]
StartServer = Callable[..., Awaitable[NameServer]]


@pytest.fixture
async def upstream() -> AsyncIterator[StartUpstream]:
    started: list[Upstream] = []

    async def start(handle: Handle) -> Upstream:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(lambda: Upstream(handle), local_addr=("127.0.0.1", 0))
        started.append(protocol)
        return protocol

    yield start
    for each in started:
        each.transport.close()


@pytest.fixture
async def serve() -> AsyncIterator[StartServer]:
    started: list[NameServer] = []

    async def start(*upstreams: tuple[str, int], host: str = "127.0.0.1") -> NameServer:
        server = NameServer(DNSSettings(upstream=tuple(upstreams) or "none"), ("10.96.0.0/12",))
        started.append(server)
        server.apply(
            Changes(
                services=(
                    service("web", "10.96.0.1"),
                    service("pods", "None"),
                    service("outside", type="ExternalName", externalName="www.example"),
                ),
                slices=(endpoint_slice("pods", "s", [endpoint(f"10.1.{i // 250}.{i % 250}") for i in range(1000)]),),
            )
        )
        await server.serve(*two_sockets(host))
        return server

    yield start
    before = asyncio.all_tasks()
    for each in started:
        await each.close()
    assert {task for task in before if not task.done()} == {asyncio.current_task()}


def two_sockets(host: str) -> tuple[socket.socket, socket.socket]:
    """UDP and TCP under one number that is free for both."""
    while True:
        udp = open_listening_socket(FrontendKey("UDP", host, 0))
        try:
            return udp, open_listening_socket(FrontendKey("TCP", host, udp.getsockname()[1]))
        except OSError:
            udp.close()


async def ask(server: NameServer, name: str, record_type: str = "A", tcp: bool = False, **options: Any) -> Any:
    query = dns.message.make_query(name, record_type, **options)
    host, port = server.addresses[0]
    if tcp:
        return await dns.asyncquery.tcp(query, host, 10, port)
    return await dns.asyncquery.udp(query, "127.0.0.1" if host == "0.0.0.0" else host, 10, port)


def texts(message: dns.message.Message) -> list[str]:
    return [data.to_text() for records in message.answer for data in records]


@pytest.mark.parametrize("tcp", [False, True])
async def test_it_answers_over_both_transports(serve: StartServer, tcp: bool) -> None:
    server = await serve()
    assert texts(await ask(server, "web.default.svc.cluster.local.", tcp=tcp)) == ["10.96.0.1"]
    (count,) = server.statistics().answers
    assert (count.transport, count.record_type, count.rcode) == ("tcp" if tcp else "udp", "A", "NOERROR")


async def test_what_does_not_fit_is_had_over_tcp(serve: StartServer) -> None:
    server = await serve()
    name = "pods.default.svc.cluster.local."
    assert (await ask(server, name)).flags & dns.flags.TC
    assert len(texts(await ask(server, name, tcp=True))) == 1000


async def test_the_reply_of_a_wildcard_leaves_from_the_address_that_was_asked(serve: StartServer) -> None:
    server = await serve(host="0.0.0.0")
    query = dns.message.make_query("web.default.svc.cluster.local.", "A")
    response = await dns.asyncquery.udp(query, "127.0.0.7", 10, server.addresses[0][1])
    assert texts(response) == ["10.96.0.1"]


async def test_ipv6_is_served_as_well(serve: StartServer) -> None:
    server = await serve(host="::1")
    assert texts(await ask(server, "web.default.svc.cluster.local.")) == ["10.96.0.1"]


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
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        nobody = free.getsockname()
    server = await serve(nobody, broken.address, good.address)
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


async def test_a_forged_response_is_not_believed(serve: StartServer, upstream: StartUpstream) -> None:
    def forge(query: dns.message.Message) -> dns.message.Message:
        true = says("192.0.2.1")(query)
        assert true is not None
        for wrong in (says("192.0.2.66")(query), says("192.0.2.67")(query)):
            assert wrong is not None
            if asked.asked[-1:]:
                wrong.id = query.id ^ 1
            asked.transport.sendto(wrong.to_wire(), asked.client)
        asked.transport.sendto(b"nonsense", asked.client)
        return true

    asked: Any = await upstream(forge)
    original = asked.datagram_received

    def received(data: bytes, client: Any) -> None:
        asked.client = client
        original(data, client)

    asked.datagram_received = received
    server = await serve(asked.address)
    assert texts(await ask(server, "www.example.")) == ["192.0.2.1"]


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


async def connect(server: NameServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*server.addresses[0])


def framed(name: str, identity: int = 7) -> bytes:
    query = dns.message.make_query(name, "A")
    query.id = identity
    data = query.to_wire()
    return struct.pack("!H", len(data)) + data


async def read(reader: asyncio.StreamReader) -> dns.message.Message:
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    return dns.message.from_wire(await reader.readexactly(length))


async def test_many_questions_go_over_one_connection_at_once(serve: StartServer, upstream: StartUpstream) -> None:
    server = await serve((await upstream(says("192.0.2.1"))).address)
    reader, writer = await connect(server)
    names = ["web.default.svc.cluster.local.", "www.example."] * 20
    writer.write(b"".join(framed(name, number) for number, name in enumerate(names)))
    answers = {(message := await read(reader)).id: texts(message) for _ in names}
    assert answers == {number: ["10.96.0.1"] if number % 2 == 0 else ["192.0.2.1"] for number in range(40)}
    writer.close()


async def test_a_question_in_pieces_is_a_question(serve: StartServer) -> None:
    reader, writer = await connect(await serve())
    for byte in framed("web.default.svc.cluster.local."):
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0)
    assert texts(await read(reader)) == ["10.96.0.1"]
    writer.close()


@pytest.mark.parametrize("sent", [b"\0\0", b"\0\5abcde", b"\0\x0c" + b"\xff" * 12])
async def test_what_is_no_question_ends_the_connection(serve: StartServer, sent: bytes) -> None:
    reader, writer = await connect(await serve())
    writer.write(sent)
    assert await reader.read() == b""
    writer.close()


async def test_an_idle_connection_is_closed(serve: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp_server, "IDLE", 0.05)
    reader, writer = await connect(await serve())
    assert await reader.read() == b""
    writer.close()


async def test_the_connection_that_is_idle_for_the_longest_makes_room(
    serve: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp_server, "MOST_CONNECTIONS", 2)
    server = await serve()
    streams = []
    for _ in range(3):
        streams.append(await connect(server))
        streams[-1][1].write(framed("web.default.svc.cluster.local."))
        assert texts(await read(streams[-1][0])) == ["10.96.0.1"]
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await streams[0][0].readexactly(1)
    assert server.statistics().tcp_connections == 2
    for _, writer in streams:
        writer.close()


async def test_a_client_that_vanishes_leaves_nothing(serve: StartServer, upstream: StartUpstream) -> None:
    asked = await upstream(lambda query: None)
    server = await serve(asked.address)
    _, writer = await connect(server)
    writer.write(framed("www.example."))
    async with asyncio.timeout(10):
        while not asked.asked:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
    writer.transport.abort()
    async with asyncio.timeout(10):
        while server.statistics().tcp_connections:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_it_lists_what_it_answers(serve: StartServer) -> None:
    server = await serve()
    found = {(each.name, each.record_type, each.value) for each in server.names() if each.service != "pods"}
    assert found == {
        ("web.default.svc.cluster.local.", "A", "10.96.0.1"),
        ("1.0.96.10.in-addr.arpa.", "PTR", "web.default.svc.cluster.local."),
        (OUTSIDE, "CNAME", "www.example."),
    }
