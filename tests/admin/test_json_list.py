"""Long lists over real connections."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import aiohttp
import msgspec
import pytest

from proxy.admin import json_list
from proxy.admin.api_answers import EndpointsAnswer, ServicesAnswer, endpoints_of
from proxy.admin.http_server import HTTPServer
from tests.admin.inspected import FakeProxy, service_report

REPORTS = [service_report(f"s{number:04}", endpoints=5) for number in range(500)]
PATHS = ("/api/v1/services", "/api/v1/endpoints")


@pytest.fixture
def proxy() -> FakeProxy:
    return FakeProxy(*REPORTS)


@pytest.fixture
async def server(proxy: FakeProxy) -> AsyncIterator[HTTPServer]:
    server = HTTPServer(proxy)
    await server.start(("127.0.0.1", 0), ("127.0.0.1", 0))
    yield server
    await server.stop()


@asynccontextmanager
async def asked(server: HTTPServer, path: str, method: str = "GET") -> AsyncIterator[aiohttp.ClientResponse]:
    url = f"http://127.0.0.1:{server._runners[1].addresses[0][1]}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        yield response


@pytest.mark.parametrize("largest", [1, 64 << 10])
async def test_the_pieces_are_the_list(server: HTTPServer, monkeypatch: pytest.MonkeyPatch, largest: int) -> None:
    monkeypatch.setattr(json_list, "LARGEST_PIECE", largest)
    async with asked(server, PATHS[0]) as response:
        assert response.content_type == "application/json"
        assert await response.read() == msgspec.json.encode(ServicesAnswer(tuple(REPORTS)))
    async with asked(server, PATHS[1]) as response:
        assert await response.read() == msgspec.json.encode(EndpointsAnswer(tuple(endpoints_of(REPORTS))))


async def test_no_things_are_an_empty_list(server: HTTPServer, proxy: FakeProxy) -> None:
    proxy.services = {}
    for path in PATHS:
        async with asked(server, path) as response:
            assert await response.json() == {path.rpartition("/")[2]: []}


@pytest.mark.parametrize("path", PATHS)
async def test_the_head_alone_may_be_asked_for(server: HTTPServer, proxy: FakeProxy, path: str) -> None:
    async with asked(server, path, "HEAD") as response:
        assert (response.status, response.content_type, proxy.asked) == (200, "application/json", 0)


@pytest.mark.parametrize("path", PATHS)
async def test_others_get_their_turn_between_the_pieces(
    server: HTTPServer, proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(json_list, "TURN", 0.0)
    turns = []

    async def count() -> None:
        while True:
            turns.append(proxy.asked)
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    async with asked(server, path) as response:
        await response.read()
    counting.cancel()
    # Of every Service asked about, somebody else had a turn before the next but one.
    assert set(range(1, len(REPORTS), 2)) - set(turns) == set()


async def test_a_service_that_leaves_meanwhile_is_left_out(server: HTTPServer, proxy: FakeProxy) -> None:
    leaving = REPORTS[-1].service.key

    def report(key: tuple[str, str]) -> object:
        return proxy.services.pop(key, None) if key != leaving else None

    proxy.service_report = report  # type: ignore[method-assign, assignment]
    async with asked(server, PATHS[0]) as response:
        assert len((await response.json())["services"]) == len(REPORTS) - 1


@pytest.mark.parametrize(("place", "begun"), [(0, False), (400, True)])
async def test_a_list_that_fails_is_never_taken_for_the_whole(
    server: HTTPServer,
    proxy: FakeProxy,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    place: int,
    begun: bool,
) -> None:
    monkeypatch.setattr(json_list, "LARGEST_PIECE", 1)
    answer, failing = proxy.service_report, REPORTS[place].service.key
    monkeypatch.setattr(proxy, "service_report", lambda key: 1 // 0 if key == failing else answer(key))
    async with asked(server, PATHS[0]) as response:
        assert response.status == (200 if begun else 500)
        if begun:
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()
        else:
            assert list(await response.json()) == ["error"]
    assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError]


async def test_who_does_not_read_is_let_go(
    server: HTTPServer, proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(json_list, "PATIENCE", 0.05)
    monkeypatch.setattr("proxy.admin.api_routes.endpoints_of", lambda services: endless())
    runner = server._runners[1]
    host, port = runner.addresses[0][:2]
    _, writer = await asyncio.open_connection(host, port, limit=1)
    writer.write(b"GET /api/v1/endpoints HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert runner.server is not None
    await until(lambda: runner.server is not None and runner.server.connections)
    await until(lambda: runner.server is not None and not runner.server.connections)
    writer.close()
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


def endless() -> Iterator[str]:
    while True:
        yield "x" * 10_000


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - another task's doing is looked at
            await asyncio.sleep(0.005)
