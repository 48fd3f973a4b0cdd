"""A name server on real sockets and an upstream of the test's own, for the tests of this folder."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from proxy.capture.listening_socket import open_listening_socket
from proxy.dns.name_server import NameServer
from proxy.plan.frontend import FrontendKey
from tests.lane import free_port

Said = dns.message.Message | bytes
Handle = Callable[[dns.message.Message], Said | Iterable[Said] | None]
"""What a server says to a question: nothing, or one thing or several, one after the other."""

OUTSIDE = "outside.default.svc.cluster.local."
WEB = "web.default.svc.cluster.local."
LENGTH = struct.Struct("!H")


class Upstream(asyncio.DatagramProtocol):
    """A DNS server that says what the test wants, over UDP and TCP. `asked` is every name as it was spelled, and over
    TCP `asked_by_stream`; `client` is who asked last."""

    def __init__(self, handle: Handle) -> None:
        self.handle = handle
        self.asked: list[str] = []
        self.asked_by_stream: list[str] = []
        self.client: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.address: tuple[str, int] = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, client: Any) -> None:
        query = dns.message.from_wire(data)
        self.asked.append(query.question[0].name.to_text())
        self.client = client
        for said in all_of(self.handle(query)):
            self.transport.sendto(wire(said), client)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        query = dns.message.from_wire(await reader.readexactly(length))
        self.asked_by_stream.append(query.question[0].name.to_text())
        for said in all_of(self.handle(query)):
            writer.write(LENGTH.pack(len(wire(said))) + wire(said))
        writer.close()


def all_of(said: Said | Iterable[Said] | None) -> Iterable[Said]:
    if said is None:
        return ()
    return (said,) if isinstance(said, dns.message.Message | bytes) else said


def wire(said: Said) -> bytes:
    return said if isinstance(said, bytes) else said.to_wire()


def answer(query: dns.message.Message, *texts: str, ttl: int = 60, rcode: int = 0) -> dns.message.Message:
    """A response with these addresses."""
    response = dns.message.make_response(query)
    response.set_rcode(dns.rcode.Rcode.make(rcode))
    if texts:
        response.answer.append(dns.rrset.from_text(query.question[0].name, ttl, "IN", "A", *texts))
    return response


def says(*texts: str, ttl: int = 60, rcode: int = 0) -> Handle:
    """Answers with these addresses."""
    return lambda query: answer(query, *texts, ttl=ttl, rcode=rcode)


StartUpstream = Callable[[Handle], Awaitable[Upstream]]
StartServer = Callable[..., Awaitable[NameServer]]


def two_sockets(host: str) -> tuple[socket.socket, socket.socket]:
    """UDP and TCP under one number that is free for both."""
    port = free_port()
    return open_listening_socket(FrontendKey("UDP", host, port)), open_listening_socket(FrontendKey("TCP", host, port))


def place_of(server: NameServer) -> tuple[str, int]:
    """Where a client on this machine finds the server."""
    host, port = server.addresses[0]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port


async def ask(server: NameServer, name: str, record_type: str = "A", tcp: bool = False, **options: Any) -> Any:
    query = dns.message.make_query(name, record_type, **options)
    host, port = place_of(server)
    if tcp:
        return await dns.asyncquery.tcp(query, host, 10, port)
    return await dns.asyncquery.udp(query, host, 10, port)


def texts(message: dns.message.Message) -> list[str]:
    return [data.to_text() for records in message.answer for data in records]


async def connect(server: NameServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*place_of(server))


def framed(name: str, identity: int = 7) -> bytes:
    query = dns.message.make_query(name, "A")
    query.id = identity
    data = query.to_wire()
    return struct.pack("!H", len(data)) + data


async def read(reader: asyncio.StreamReader) -> dns.message.Message:
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    return dns.message.from_wire(await reader.readexactly(length))
