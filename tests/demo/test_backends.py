"""The demo's servers over real sockets, on addresses of the tests' own."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import aiohttp
import pytest

from proxy.demo.backends import running_backends
from proxy.demo.free_ports import can_bind
from proxy.demo.pods import DemoPod
from proxy.demo.port_check import PortUnavailableError
from proxy.demo.served import Served
from proxy.model.pod import ContainerPort

WAY_ROUND = "take another"


def pod(role: str, address: str, *ports: ContainerPort) -> DemoPod:
    return DemoPod(f"{role}-pod", role, address, ports or (ContainerPort(8080),))


def running(*pods: DemoPod) -> contextlib.AbstractAsyncContextManager[Served]:
    return running_backends(pods, WAY_ROUND)


@contextlib.asynccontextmanager
async def connected(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(address, 8080)
    try:
        yield reader, writer
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/", 200, 'Hello MyApp | Version: v1 | <a href="hostname.html">Pod Name</a>\n'),
        ("/hostname.html", 200, "myapp-pod\n"),
        ("/other", 404, None),
    ],
)
async def test_a_web_pod_says_hello_and_its_name(address: str, path: str, status: int, body: str | None) -> None:
    async with (
        running(pod("myapp", address)),
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}:8080{path}") as response,
    ):
        assert response.status == status
        if body is not None:
            assert await response.text() == body
            assert response.headers["Content-Length"] == str(len(body))


async def test_a_web_pod_keeps_a_connection_until_it_is_asked_to_close(address: str) -> None:
    request = "GET /hostname.html HTTP/1.1\r\nHost: demo\r\n"
    async with running(pod("myapp", address)), connected(address) as (reader, writer):
        writer.write(f"{request}\r\n{request}Connection: close\r\n\r\n".encode())
        answers = (await reader.read()).decode()
    assert answers.count("myapp-pod\n") == 2


async def test_the_redis_pod_greets_first_and_answers_ping(address: str) -> None:
    async with running(pod("redis", address)), connected(address) as (reader, writer):
        assert await reader.readline() == b"+OK redis-demo ready, this is redis-pod\r\n"
        writer.write(b"PI")
        writer.write(b"NG\r\nping\n\nSET a 1\r\nQUIT\r\nPING\r\n")
        assert (await reader.read()).splitlines() == [b"+PONG", b"+PONG", b"-ERR unknown command", b"+OK"]


async def test_the_redis_pod_ends_a_line_that_never_ends(address: str) -> None:
    async with running(pod("redis", address)), connected(address) as (reader, writer):
        writer.write(b"x" * 4096)
        assert (await asyncio.wait_for(reader.read(), 10)).endswith(b"-ERR line too long\r\n")


async def test_the_echo_pod_gives_back_a_stream_larger_than_any_buffer(address: str) -> None:
    sent = bytes(range(256)) * 32768
    async with running(pod("echo", address)), connected(address) as (reader, writer):
        writer.write(sent)
        writer.write_eof()
        assert await reader.read() == sent


async def test_the_echo_pod_gives_back_datagrams_on_the_same_port(address: str) -> None:
    echo = pod("echo", address, ContainerPort(8080, "tcp"), ContainerPort(8080, "udp", "UDP"))
    loop = asyncio.get_running_loop()
    async with running(echo):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect((address, 8080))
            await loop.sock_sendall(client, b"hello")
            assert await asyncio.wait_for(loop.sock_recv(client, 100), 10) == b"hello"


async def test_what_each_pod_served_is_counted(address: str) -> None:
    pods = (pod("myapp", address), pod("echo", address, ContainerPort(8081)))
    async with running(*pods) as served, aiohttp.ClientSession() as session:
        for path in ("/", "/hostname.html"):
            async with session.get(f"http://{address}:8080{path}") as response:
                await response.read()
    assert served.summary() == "Served:\n\n  myapp: 2 requests\n  echo: 0 connections and datagrams\n"


async def test_a_web_pod_listens_on_port_80_too_where_that_is_permitted(address: str) -> None:
    if not can_bind("TCP", address, 80):
        pytest.skip("port 80 is taken, or not permitted")
    async with (
        running(pod("myapp", address)),
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}/hostname.html") as response,
    ):
        assert await response.text() == "myapp-pod\n"


async def test_a_taken_port_80_is_no_harm(address: str) -> None:
    if not can_bind("TCP", address, 80):
        pytest.skip("port 80 is taken, or not permitted")
    with socket.create_server((address, 80)):
        async with running(pod("myapp", address)), connected(address):
            pass


async def test_nothing_listens_afterwards(address: str) -> None:
    async with running(pod("echo", address)):
        pass
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(address, 8080)


@pytest.mark.parametrize("role", ["myapp", "redis", "echo"])
async def test_a_taken_port_is_named_with_the_way_round_and_ends_what_had_started(address: str, role: str) -> None:
    first = pod("echo", address, ContainerPort(9090))
    with socket.create_server((address, 8080)):
        with pytest.raises(PortUnavailableError) as caught:
            async with running(first, pod(role, address)):
                raise AssertionError("a taken port was not noticed")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(address, 9090)
    text = str(caught.value)
    assert text.startswith(f"port {address}:8080/TCP is taken")
    assert text.endswith(f"or {WAY_ROUND}")
