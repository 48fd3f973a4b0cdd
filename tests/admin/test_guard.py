"""Who may read the admin address, asked over real connections."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from proxy.admin.admin_token import AdminToken
from proxy.admin.guard import HEADERS, OPEN_PATHS, is_loopback, names_this_machine
from proxy.admin.http_server import HTTPServer
from proxy.configuration.config import Configuration
from tests.admin.inspected import FakeProxy

CONFIGURED = Configuration()
PATHS = ("/", "/api/v1/services", "/api/v1/stream", "/metrics", "/livez", "/nothing")


@asynccontextmanager
async def served(token: str = "", host: str = "127.0.0.1") -> AsyncIterator[str]:
    """The URL of an admin address."""
    server = HTTPServer(FakeProxy(), AdminToken(token) if token else None)
    await server.start(("127.0.0.1", 0), (host, 0))
    try:
        yield f"http://127.0.0.1:{server._runners[1].addresses[0][1]}"
    finally:
        await server.stop()


async def status(url: str, **headers: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status


async def test_nothing_is_answered_without_the_token_where_there_is_one() -> None:
    async with served("s3cret") as url, aiohttp.ClientSession() as session:
        for path in PATHS:
            async with session.get(url + path, headers={"Authorization": "Bearer wrong"}) as response:
                assert response.status == 401
                assert {each.partition(" ")[0] for each in response.headers.getall("WWW-Authenticate")} == {
                    "Bearer",
                    "Basic",
                }
                assert "adminTokenFile" in (await response.json())["error"]
        assert await status(url + "/api/v1/services", Authorization="Bearer s3cret") == 200


def paths_of(server: HTTPServer) -> list[str]:
    """Every path that the admin address knows, parameters filled in."""
    resources = server._runners[1].app.router.resources()
    return [re.sub(r"\{\w+\}", "default", resource.canonical) for resource in resources]


async def test_no_path_forgets_to_ask_for_the_token() -> None:
    server = HTTPServer(FakeProxy(), AdminToken("s3cret"))
    await server.start(("127.0.0.1", 0), ("127.0.0.1", 0))
    url = f"http://127.0.0.1:{server._runners[1].addresses[0][1]}"
    paths = paths_of(server)
    assert {*PATHS, *OPEN_PATHS} - {"/nothing"} <= set(paths)
    assert {await status(url + path) for path in paths} == {401}
    await server.stop()


async def test_there_is_nothing_but_reading() -> None:
    server = HTTPServer(FakeProxy())
    await server.start(("127.0.0.1", 0), ("127.0.0.1", 0))
    for runner in server._runners:
        methods = {route.method for route in runner.app.router.routes()}
        assert methods == {"GET", "HEAD"}
    await server.stop()


async def test_it_listens_on_loopback_unless_told_otherwise_and_nowhere_else() -> None:
    host, port = CONFIGURED.metrics_bind_address
    assert (is_loopback(host), port) == (True, 10249)
    server = HTTPServer(FakeProxy())
    await server.start(("127.0.0.2", 0), (host, 0))
    assert [[address[0] for address in runner.addresses] for runner in server._runners] == [["127.0.0.2"], [host]]
    await server.stop()


async def test_beyond_loopback_and_without_a_token_health_and_metrics_alone_are_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served(host="0.0.0.0") as url:
        statuses = {path: await status(url + path) for path in (*PATHS, *OPEN_PATHS)}
        assert {path for path, each in statuses.items() if each == 403} == set(PATHS) - OPEN_PATHS
        assert {statuses[path] for path in OPEN_PATHS} == {200}
    assert "adminTokenFile" in caplog.text


async def test_beyond_loopback_and_with_the_token_everything_is_answered() -> None:
    async with served("s3cret", "0.0.0.0") as url:
        headers = {"Authorization": "Bearer s3cret", "Host": "proxy.example.com"}
        assert await status(url + "/api/v1/services", **headers) == 200


@pytest.mark.parametrize(
    "host", ["evil.example.com", "evil.example.com:10249", "127.0.0.1.example.com", "localhost.example.com"]
)
async def test_a_web_site_cannot_lead_its_own_name_here(host: str) -> None:
    async with served() as url:
        assert await status(url + "/api/v1/services", Host=host) == 403


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:8",
        "localhost",
        "localhost:8",
        "LOCALHOST",
        "localhost.",
        "[::1]:8",
        "[::1]",
        "proxy.localhost:8",
        "",
    ],
)
def test_an_address_and_localhost_are_names_of_this_machine(host: str) -> None:
    assert names_this_machine(host)


@pytest.mark.parametrize("host", ["[evil]", "evil", "::1.example", "[::1", "1.2.3"])
def test_anything_else_is_not(host: str) -> None:
    assert not names_this_machine(host)


@pytest.mark.parametrize(
    ("host", "local"), [("127.9.9.9", True), ("::1", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False)]
)
def test_loopback_is_what_only_this_machine_reaches(host: str, local: bool) -> None:
    assert is_loopback(host) is local


@pytest.mark.parametrize("path", ["/api/v1/services", "/nothing", "/metrics"])
async def test_every_answer_tells_a_browser_what_it_may_do(path: str) -> None:
    async with served() as url, aiohttp.ClientSession() as session, session.get(url + path) as response:
        assert dict(HEADERS).items() <= dict(response.headers).items()
        assert "unsafe" not in response.headers["Content-Security-Policy"]
