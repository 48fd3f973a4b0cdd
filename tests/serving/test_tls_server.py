"""TLS clients of a server with few places, and clients that never come so far, over real sockets of both families."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from proxy.apiserver.http.certificate import ServingCertificate
from proxy.serving import tls_server
from proxy.serving.bounded_connections import BoundedConnections
from proxy.serving.bounded_site import BoundedSite

MOST = 3
HOSTS = ("127.0.0.1", "::1")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Served:
    """An application that answers at once, or at /held when it is released."""

    def __init__(self, directory: Path, host: str) -> None:
        certificate = ServingCertificate(str(directory), host, datetime.now(UTC))
        self.host = host
        self.trusting = ssl.create_default_context(cadata=certificate.authority.decode())
        self.release = asyncio.Event()
        self.held = 0
        self.connections = BoundedConnections("test", MOST, lambda status, line: web.Response(status=status, text=line))
        application = web.Application(middlewares=[self.connections.mark_busy])
        application.router.add_get("/", self._answer)
        application.router.add_get("/held", self._hold)
        self.runner = web.AppRunner(application, shutdown_timeout=0.1)
        self._context = certificate.context

    async def start(self) -> None:
        await self.runner.setup()
        await BoundedSite(self.runner, self.connections, self.host, 0, self._context).start()

    @property
    def port(self) -> int:
        return int(self.runner.addresses[0][1])

    @asynccontextmanager
    async def client(self, *, speaks_tls: bool = True) -> AsyncIterator[Streams]:
        context = self.trusting if speaks_tls else None
        reader, writer = await asyncio.open_connection(self.host, self.port, ssl=context)
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def ask(self) -> int:
        async with self.client() as (reader, writer):
            return (await asked(reader, writer))[0]

    async def _answer(self, request: web.Request) -> web.Response:
        return web.Response(text=request.scheme)

    async def _hold(self, request: web.Request) -> web.Response:
        self.held += 1
        await self.release.wait()
        return web.Response()


async def asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str = "/") -> tuple[int, bytes]:
    """The status and the body of the answer."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
    return await answer(reader)


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    (length,) = (line.split()[1] for line in head.splitlines() if line.lower().startswith(b"content-length"))
    return int(head.split()[1]), await reader.readexactly(int(length))


async def is_closed(reader: asyncio.StreamReader) -> bool:
    """Whether the server closes it, which is waited for."""
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - another task's doing is looked at
            await asyncio.sleep(0.005)


@pytest.fixture(params=HOSTS)
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Served]:
    served = Served(tmp_path, request.param)
    await served.start()
    yield served
    await served.runner.cleanup()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def test_a_request_is_answered_over_tls(served: Served) -> None:
    async with served.client() as (reader, writer):
        assert await asked(reader, writer) == (200, b"https")


async def test_those_who_never_shake_hands_keep_nobody_out(served: Served, stack: AsyncExitStack) -> None:
    silent = [await stack.enter_async_context(served.client(speaks_tls=False)) for _ in range(3 * MOST)]
    assert await served.ask() == 200
    for reader, _ in silent[:-MOST]:
        assert await is_closed(reader)


async def test_one_that_is_idle_makes_room_without_a_goodbye(served: Served, stack: AsyncExitStack) -> None:
    idle = [await stack.enter_async_context(served.client()) for _ in range(MOST)]
    for reader, writer in idle:
        assert (await asked(reader, writer))[0] == 200
    assert await served.ask() == 200
    assert await is_closed(idle[0][0])
    assert (await asked(*idle[1]))[0] == 200


async def test_who_speaks_something_else_leaves_its_place(served: Served) -> None:
    for _ in range(2 * MOST):
        async with served.client(speaks_tls=False) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert b"HTTP" not in await reader.read()
    await until(lambda: not served.connections._open)
    assert await served.ask() == 200


async def test_a_handshake_has_its_time(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_server, "PATIENCE", 0.01)
    async with served.client(speaks_tls=False) as (reader, _):
        assert await is_closed(reader)
    await until(lambda: not served.connections._open)


async def test_where_all_are_busy_newcomers_are_told_so(
    served: Served, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    busy = [await stack.enter_async_context(served.client()) for _ in range(MOST)]
    for _, writer in busy:
        writer.write(b"GET /held HTTP/1.1\r\nHost: here\r\n\r\n")
    await until(lambda: served.held == MOST)
    for _ in range(2):
        assert await served.ask() == 503
        await until(lambda: not served.connections._refused)
    assert [record.message for record in caplog.records] == ["every connection is in use: newcomers are refused"]
    served.release.set()
    for reader, _ in busy:
        assert (await answer(reader))[0] == 200
    assert await served.ask() == 200


async def test_beyond_a_few_who_are_refused_nobody_gets_a_handshake(served: Served, stack: AsyncExitStack) -> None:
    for _ in range(MOST):
        _, writer = await stack.enter_async_context(served.client())
        writer.write(b"GET /held HTTP/1.1\r\nHost: here\r\n\r\n")
    await until(lambda: served.held == MOST)
    newcomers = [await stack.enter_async_context(served.client(speaks_tls=False)) for _ in range(9)]
    for reader, _ in newcomers[1:]:
        assert await is_closed(reader)
    assert len(served.connections._refused) <= 1
    served.release.set()


async def test_the_end_hangs_up_on_who_is_not_through(served: Served, stack: AsyncExitStack) -> None:
    silent = [await stack.enter_async_context(served.client(speaks_tls=False)) for _ in range(MOST)]
    await until(lambda: len(served.connections._open) == MOST)
    host, port = served.host, served.port
    await served.runner.cleanup()
    for reader, _ in silent:
        assert await is_closed(reader)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, port)
    assert {task.get_name() for task in asyncio.all_tasks()}.isdisjoint(
        {"shake hands", "accept clients that speak TLS"}
    )


async def test_a_defect_costs_the_client_that_met_it_and_is_in_the_log(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(served.connections, "next", lambda server: 1 // 0)
        async with served.client(speaks_tls=False) as (reader, _):
            assert await is_closed(reader)
    assert "a client was not let in" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert await served.ask() == 200


async def test_a_taken_port_is_an_error(served: Served) -> None:
    other = BoundedSite(served.runner, served.connections, served.host, served.port, served._context)
    with pytest.raises(OSError, match="in use"):
        await other.start()
