"""The name server on real sockets: both transports, both families, and clients that ask for more than their share."""

import asyncio
import logging
import socket
import struct
from random import Random

import dns.asyncquery
import dns.flags
import dns.message
import pytest

from proxy.dns import tcp_server, udp_server
from proxy.dns.name_server import NameServer
from proxy.dns.settings import DNSBounds, DNSSettings
from tests.dns.serving import (
    OUTSIDE,
    WEB,
    StartServer,
    StartUpstream,
    ask,
    connect,
    framed,
    place_of,
    read,
    says,
    texts,
    two_sockets,
)

HOSTS = ["127.0.0.1", "::1", "0.0.0.0", "::"]


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("host", HOSTS)
async def test_it_answers_over_both_transports_and_families(serve: StartServer, host: str, tcp: bool) -> None:
    server = await serve(host=host)
    assert texts(await ask(server, WEB, tcp=tcp)) == ["10.96.0.1"]
    (count,) = server.statistics().answers
    assert (count.transport, count.record_type, count.rcode) == ("tcp" if tcp else "udp", "A", "NOERROR")


async def test_what_does_not_fit_is_had_over_tcp(serve: StartServer) -> None:
    server = await serve()
    name = "pods.default.svc.cluster.local."
    assert (await ask(server, name)).flags & dns.flags.TC
    assert len(texts(await ask(server, name, tcp=True))) == 1000


@pytest.mark.parametrize(
    ("host", "asked", "client"),
    [("0.0.0.0", "127.0.0.7", "127.0.0.8"), ("0.0.0.0", "10.96.7.7", None), ("::", "fd00:96::80", "fd00:96::73")],
)
async def test_the_reply_of_a_wildcard_leaves_from_the_address_that_was_asked(
    network_namespace: None, serve: StartServer, upstream: StartUpstream, host: str, asked: str, client: str | None
) -> None:
    """Also the one that waits for upstream."""
    server = await serve((await upstream(says("192.0.2.1"))).address, host=host)
    for name, address in ((WEB, "10.96.0.1"), ("www.example.", "192.0.2.1")):
        query = dns.message.make_query(name, "A")
        response = await dns.asyncquery.udp(query, asked, 10, server.addresses[0][1], source=client)
        assert texts(response) == [address]


async def test_many_questions_go_over_one_connection_at_once(serve: StartServer, upstream: StartUpstream) -> None:
    server = await serve((await upstream(says("192.0.2.1"))).address)
    reader, writer = await connect(server)
    names = [WEB, "www.example."] * 20
    writer.write(b"".join(framed(name, number) for number, name in enumerate(names)))
    answers = {(message := await read(reader)).id: texts(message) for _ in names}
    assert answers == {number: ["10.96.0.1"] if number % 2 == 0 else ["192.0.2.1"] for number in range(40)}
    writer.close()


async def test_a_question_in_pieces_is_a_question(serve: StartServer) -> None:
    reader, writer = await connect(await serve())
    for byte in framed(WEB):
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0)
    assert texts(await read(reader)) == ["10.96.0.1"]
    writer.close()


async def test_a_client_that_asks_no_more_gets_its_answers(serve: StartServer, upstream: StartUpstream) -> None:
    server = await serve((await upstream(says("192.0.2.1"))).address)
    reader, writer = await connect(server)
    writer.write(framed("www.example.", 1) + framed("other.example.", 2))
    writer.write_eof()
    assert {(await read(reader)).id for _ in range(2)} == {1, 2}
    assert await reader.read() == b""
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


async def test_the_connection_that_is_idle_for_the_longest_makes_room(serve: StartServer) -> None:
    server = await serve(bounds=DNSBounds(connections=2))
    streams = []
    for _ in range(3):
        streams.append(await connect(server))
        streams[-1][1].write(framed(WEB))
        assert texts(await read(streams[-1][0])) == ["10.96.0.1"]
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await streams[0][0].readexactly(1)
    assert server.statistics().tcp_connections == 2
    for _, writer in streams:
        writer.close()


async def test_a_crowd_from_one_address_makes_room_among_itself(serve: StartServer) -> None:
    server = await serve(bounds=DNSBounds(connections=4))
    reader, writer = await connect(server)
    writer.write(framed(WEB))
    assert texts(await read(reader)) == ["10.96.0.1"]
    crowd = [await asyncio.open_connection(*place_of(server), local_addr=("127.0.0.2", 0)) for _ in range(30)]
    async with asyncio.timeout(10):
        while sum(each.at_eof() or each.exception() is not None for each, _ in crowd) < 27:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert server.statistics().tcp_connections == 4
    writer.write(framed(WEB))
    assert texts(await read(reader)) == ["10.96.0.1"]
    for each in (writer, *(writer for _, writer in crowd)):
        each.close()


async def test_the_connections_of_all_addresses_are_bounded_together(serve: StartServer) -> None:
    server = await serve(bounds=DNSBounds(connections=3))
    await server.serve(*two_sockets("127.0.0.2"))
    streams = [await asyncio.open_connection(*address) for address in server.addresses * 2]
    async with asyncio.timeout(10):
        assert await streams[0][0].read() == b""
    assert server.statistics().tcp_connections == 3
    for _, writer in streams:
        writer.close()


async def test_the_end_cuts_open_connections_without_a_word_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    server = NameServer(DNSSettings(upstream="none"), ("10.96.0.0/12",))
    await server.serve(*two_sockets("127.0.0.1"))
    idle, asking = await connect(server), await connect(server)
    asking[1].write(framed(WEB))
    await read(asking[0])
    await server.close()
    for reader, writer in (idle, asking):
        assert await reader.read() == b""
        writer.close()
    await asyncio.sleep(0)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def noise(number: int) -> list[bytes]:
    """Questions, damaged ones and nonsense; every other one is answered with an address."""
    random = Random(7)
    query = dns.message.make_query(WEB, "A").to_wire()
    found = []
    for _ in range(number // 2):
        damaged = bytearray(query if random.random() < 0.5 else random.randbytes(random.randrange(100)))
        for _ in range(random.randrange(4)):
            if damaged:
                damaged[random.randrange(len(damaged))] = random.randrange(256)
        found += [query, bytes(damaged)]
    return found


def handled(server: NameServer) -> int:
    """Messages that were answered, refused or dropped."""
    statistics = server.statistics()
    return sum(each.answers for each in statistics.answers) + statistics.dropped


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(("turn", "most"), [(60.0, udp_server.BURST), (-1.0, 1)])
async def test_a_flood_of_datagrams_is_answered_a_few_a_turn_of_the_loop(
    serve: StartServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    host: str,
    turn: float,
    most: int,
) -> None:
    """By their number, and by the time that they take."""
    monkeypatch.setattr(udp_server, "TURN", turn)
    server = await serve(host=host)
    sent = noise(300)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.setblocking(False)
        for data in sent:
            flood.sendto(data, place_of(server))
        turns: list[int] = []
        async with asyncio.timeout(20):
            while sum(turns) < len(sent):
                before = handled(server)
                await asyncio.sleep(0)
                turns.append(handled(server) - before)
        received = list(iter(lambda: size_of_next(flood), None))
    assert max(turns) <= most
    assert len(sent) // 2 <= len(received) <= len(sent)
    assert max(received) <= 512
    assert caplog.records == []
    assert texts(await ask(server, WEB)) == ["10.96.0.1"]


def size_of_next(sock: socket.socket) -> int | None:
    try:
        return len(sock.recv(65535))
    except BlockingIOError:
        return None


@pytest.mark.parametrize("host", HOSTS)
async def test_a_flood_of_datagrams_keeps_nobody_waiting_who_asks_over_tcp(serve: StartServer, host: str) -> None:
    server = await serve(host=host)
    query = dns.message.make_query(WEB, "A").to_wire()
    reader, writer = await connect(server)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as flood:
        for _ in range(2000):
            flood.sendto(query, place_of(server))
        writer.write(framed(WEB))
        assert texts(await read(reader)) == ["10.96.0.1"]
        turns = [handled(server)]
        while len(turns) < 2 or turns[-1] > turns[-2]:  # as many as the kernel kept
            await asyncio.sleep(0)
            turns.append(handled(server))
    assert len(turns) > 5
    writer.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_flood_over_tcp_is_answered_one_by_one_and_keeps_nobody_waiting(
    serve: StartServer, caplog: pytest.LogCaptureFixture, host: str
) -> None:
    server = await serve(host=host)
    _, flood = await connect(server)
    flood.write(framed(WEB) * 2000)
    reader, writer = await connect(server)
    writer.write(framed(WEB))
    assert texts(await read(reader)) == ["10.96.0.1"]
    assert handled(server) < 2000
    for data in noise(40):
        _, stranger = await connect(server)
        stranger.write(data)
        stranger.close()
    writer.write(framed(WEB))
    assert texts(await read(reader)) == ["10.96.0.1"]
    assert caplog.records == []
    for each in (flood, writer):
        each.transport.abort()


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


async def test_a_client_that_asks_much_and_vanishes_is_not_worth_a_line(
    serve: StartServer, upstream: StartUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    queries: list[dns.message.Message] = []
    asked = await upstream(lambda query: queries.append(query))
    server = await serve(asked.address)
    _, writer = await connect(server)
    number = 12
    writer.write(b"".join(framed(f"n{each}.example.", each) for each in range(number)))
    writer.write_eof()
    async with asyncio.timeout(10):
        while len(queries) < number:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
        writer.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        writer.transport.abort()
        asked.handle = says("192.0.2.1")
        while server.statistics().tcp_connections:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def test_it_lists_what_it_answers(serve: StartServer) -> None:
    server = await serve()
    found = [(each.name, each.record_type, each.value) for each in server.names() if each.service != "pods"]
    assert found == [
        (OUTSIDE, "CNAME", "www.example."),
        (WEB, "A", "10.96.0.1"),
        ("1.0.96.10.in-addr.arpa.", "PTR", WEB),
    ]
