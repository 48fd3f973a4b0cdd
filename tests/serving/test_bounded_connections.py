"""Connections of an admin address with few places, over real sockets of both families."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from proxy.admin.http_server import HTTPServer
from proxy.serving import bounded_connections
from proxy.serving.bounded_connections import HTTPBounds
from tests.admin.inspected import FakeProxy, service_report

BOUNDS = HTTPBounds(health=3, admin=4)
HOSTS = ("127.0.0.1", "::1")


class Client:
    """A connection that says what it is told to say."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def ask(self, path: str) -> None:
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    async def status(self) -> int:
        """Of the next answer, whose head is read."""
        return int((await self.reader.readuntil(b"\r\n\r\n")).split()[1])

    async def answer(self) -> tuple[int, object]:
        """The answer and its JSON; the connection may stay."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        length = next(int(line.split()[1]) for line in head.splitlines() if line.lower().startswith("content-length"))
        return int(head.split()[1]), json.loads(await self.reader.readexactly(length))

    async def is_closed(self) -> bool:
        """Whether the server closes it, which is waited for."""
        try:
            return await self.reader.read() == b""
        except ConnectionResetError:
            return True


class Served:
    """A server on one family."""

    def __init__(self, server: HTTPServer, proxy: FakeProxy, host: str) -> None:
        self.proxy = proxy
        self.server = server
        self.host = host
        self.health, self.admin = (runner.addresses[0][1] for runner in server._runners)

    @asynccontextmanager
    async def client(self, port: int) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection(self.host, port)
        try:
            yield Client(reader, writer)
        finally:
            writer.close()

    async def ask(self, port: int, path: str) -> tuple[int, object]:
        async with self.client(port) as client:
            client.ask(path)
            return await client.answer()


@pytest.fixture(params=HOSTS)
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    proxy = FakeProxy(service_report("shop"))
    server = HTTPServer(proxy, bounds=BOUNDS)
    await server.start((request.param, 0), (request.param, 0))
    yield Served(server, proxy, request.param)
    await server.stop()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def test_those_who_say_nothing_keep_nobody_out(served: Served, stack: AsyncExitStack) -> None:
    for port, most in ((served.health, BOUNDS.health), (served.admin, BOUNDS.admin)):
        silent = [await stack.enter_async_context(served.client(port)) for _ in range(3 * most)]
        assert (await served.ask(port, "/livez"))[0] == 200
        assert await silent[0].is_closed()


async def test_the_one_that_was_idle_for_longest_leaves_and_not_one_that_reads(
    served: Served, stack: AsyncExitStack
) -> None:
    stream = await stack.enter_async_context(served.client(served.admin))
    stream.ask("/api/v1/stream")
    assert await stream.status() == 200
    idle = [await stack.enter_async_context(served.client(served.admin)) for _ in range(BOUNDS.admin - 1)]
    for client in idle:
        client.ask("/api/v1/workers")
        assert (await client.answer())[0] == 200
    assert (await served.ask(served.admin, "/livez"))[0] == 200
    assert await idle[0].is_closed()
    idle[1].ask("/api/v1/workers")
    assert (await idle[1].answer())[0] == 200
    assert b"event: snapshot" in await stream.reader.readuntil(b"data: ")


async def test_one_that_asks_again_is_not_the_one_that_was_idle_for_longest(
    served: Served, stack: AsyncExitStack
) -> None:
    idle = [await stack.enter_async_context(served.client(served.admin)) for _ in range(BOUNDS.admin)]
    for client in (*idle, idle[0]):
        client.ask("/api/v1/workers")
        assert (await client.answer())[0] == 200
    assert (await served.ask(served.admin, "/livez"))[0] == 200
    assert await idle[1].is_closed()
    idle[0].ask("/api/v1/workers")
    assert (await idle[0].answer())[0] == 200


async def test_who_comes_last_in_a_burst_is_answered(served: Served) -> None:
    """The burst is accepted in one turn of the loop, before any of it can be closed."""
    family = socket.AF_INET6 if ":" in served.host else socket.AF_INET
    for port in (served.health, served.admin):
        burst = [socket.socket(family) for _ in range(BOUNDS.admin)]
        for sock in burst:
            sock.connect((served.host, port))
        burst[-1].sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        reader, writer = await asyncio.open_connection(sock=burst[-1])
        assert (await Client(reader, writer).answer())[0] == 200
        writer.close()
        for sock in burst[:-1]:
            sock.close()


async def test_a_full_address_says_so_and_answers_again_later(
    served: Served, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    release = asyncio.Event()
    asked = hold_connections(served, release)
    for _ in range(BOUNDS.admin):
        client = await stack.enter_async_context(served.client(served.admin))
        client.ask("/api/v1/connections")
    await until(lambda: asked() == BOUNDS.admin)
    status, body = await served.ask(served.admin, "/livez")
    assert (status, "is in use" in str(body)) == (503, True)
    (record,) = caplog.records
    assert record.message == "every connection is in use: newcomers are refused"
    assert record.__dict__["fields"] == {"server": "metrics", "connections": BOUNDS.admin}
    assert (await served.ask(served.health, "/livez"))[0] == 200
    release.set()
    assert await client.status() == 200
    assert (await served.ask(served.admin, "/livez"))[0] == 200


async def test_who_is_refused_and_asks_nothing_is_let_go(
    served: Served, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_connections, "REFUSAL", 0.01)
    release = asyncio.Event()
    asked = hold_connections(served, release)
    for _ in range(BOUNDS.admin):
        (await stack.enter_async_context(served.client(served.admin))).ask("/api/v1/connections")
    await until(lambda: asked() == BOUNDS.admin)
    refused = [await stack.enter_async_context(served.client(served.admin)) for _ in range(9)]
    for client in refused:
        assert await client.is_closed()
    release.set()


async def test_the_page_has_half_of_the_places(served: Served, stack: AsyncExitStack) -> None:
    statuses = []
    for _ in range(BOUNDS.admin // 2 + 1):
        client = await stack.enter_async_context(served.client(served.admin))
        client.ask("/api/v1/stream")
        statuses.append(await client.status())
    assert statuses == [200] * (BOUNDS.admin // 2) + [503]
    assert (await served.ask(served.admin, "/livez"))[0] == 200


async def test_a_fault_of_ours_is_json_and_logged_once_with_its_path(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(served.proxy, "workers", lambda: 1 // 0)
    status, body = await served.ask(served.admin, "/api/v1/workers?a=b")
    assert (status, body) == (
        500,
        {"error": "/api/v1/workers cannot be answered, through a fault of svcproxy's: its log says more"},
    )
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError
    assert record.__dict__["fields"] == {"method": "GET", "path": "/api/v1/workers"}


async def test_a_fault_of_health_is_json_too(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.proxy, "health", lambda: 1 // 0)
    status, body = await served.ask(served.health, "/livez")
    assert (status, list(body) if isinstance(body, dict) else body) == (500, ["error"])


async def test_what_is_no_http_is_told_so_in_json_and_floods_no_log(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async with served.client(served.admin) as client:
        client.writer.write(b"GET /\r\nnonsense\r\n\r\n")
        status, body = await client.answer()
    assert (status, "this is no HTTP request" in str(body)) == (400, True)
    assert caplog.records == []


async def test_an_asker_who_leaves_is_no_fault(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    release = asyncio.Event()
    asked = hold_connections(served, release)
    async with served.client(served.admin) as client:
        client.ask("/api/v1/connections")
        await until(asked)
    release.set()
    assert (await served.ask(served.admin, "/livez"))[0] == 200
    assert caplog.records == []


def hold_connections(served: Served, release: asyncio.Event) -> Callable[[], int]:
    """Let nobody who asks for connections be answered before `release`; gives how many have asked."""
    answer, asked = served.proxy.flows.connections, []

    async def held(namespace: str, name: str, most: int) -> object:
        asked.append(name)
        await release.wait()
        return await answer(namespace, name, most)

    served.proxy.flows.connections = held  # type: ignore[assignment, method-assign]
    return lambda: len(asked)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - another task's doing is looked at
            await asyncio.sleep(0.005)
