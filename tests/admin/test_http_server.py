"""The HTTP server over real connections."""

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.admin.admin_token import AdminToken
from proxy.admin.http_server import HTTPServer
from tests.admin.inspected import FakeProxy


class Served:
    """A running server and the ports it has."""

    def __init__(self, server: HTTPServer, inspected: FakeProxy) -> None:
        self.inspected = inspected
        self.healthz, self.metrics = (runner.addresses[0][1] for runner in server._runners)

    async def get(self, path: str, port: int = 0) -> tuple[int, Any]:
        url = f"http://127.0.0.1:{port or self.metrics}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            body = await response.text()
            return response.status, json.loads(body) if response.content_type == "application/json" else body


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    inspected = FakeProxy()
    server = HTTPServer(inspected)
    await server.start(("127.0.0.1", 0), ("127.0.0.1", 0))
    yield Served(server, inspected)
    await server.stop()


async def test_the_api_is_on_the_metrics_address_alone(served: Served) -> None:
    assert await served.get("/api/v1/services") == (200, {"services": []})
    assert (await served.get("/api/v1/services", served.healthz))[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_can_be_changed(served: Served, method: str) -> None:
    url = f"http://127.0.0.1:{served.metrics}/api/v1/services"
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        assert response.status == 405


async def test_a_port_that_is_taken_costs_that_server_alone(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        server, taken = HTTPServer(FakeProxy()), held.getsockname()[1]
        await server.start(("127.0.0.1", taken), ("127.0.0.1", 0))
        (address,) = server._runners[1].addresses
        url = f"http://127.0.0.1:{address[1]}/livez"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            assert response.status == 200
        await server.stop()
    assert f"cannot serve healthz on 127.0.0.1:{taken}: " in caplog.text
    assert "--healthz-bind-address" in caplog.text


@pytest.mark.parametrize("turns", range(16))
async def test_a_start_that_is_cancelled_at_any_moment_leaves_no_port_taken(turns: int) -> None:
    with socket.socket() as healthz, socket.socket() as metrics:
        for probe in (healthz, metrics):
            probe.bind(("127.0.0.1", 0))
        addresses = healthz.getsockname(), metrics.getsockname()
    server = HTTPServer(FakeProxy())
    starting = asyncio.create_task(server.start(*addresses))
    for _ in range(turns):
        await asyncio.sleep(0)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await server.stop()
    for address in addresses:
        with socket.create_server(address):
            pass


async def test_metrics_are_on_the_metrics_address_alone(served: Served) -> None:
    status, text = await served.get("/metrics")
    assert status == 200
    assert {"svcproxy_services 3.0", "svcproxy_affinity_evictions_total 12.0"} <= set(text.splitlines())
    assert (await served.get("/metrics", served.healthz))[0] == 404


async def test_errors_are_json_with_one_line(served: Served) -> None:
    assert await served.get("/nothing") == (404, {"error": "nothing is at /nothing"})
    url = f"http://127.0.0.1:{served.metrics}/metrics"
    async with aiohttp.ClientSession() as session, session.delete(url) as response:
        assert response.headers["Allow"] == "GET,HEAD"
        assert (await response.json())["error"].startswith("DELETE is not answered at /metrics")


async def test_a_unix_socket_answers_its_owner_without_the_token(tmp_path: Path) -> None:
    server, path = HTTPServer(FakeProxy(), AdminToken("secret")), tmp_path / "admin.sock"
    await server.start(("127.0.0.1", 0), ("127.0.0.1", 0), str(path))
    try:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        connector = aiohttp.UnixConnector(str(path))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get("http://localhost/api/v1/version") as response,
        ):
            assert response.status == 200
        async with aiohttp.ClientSession() as session, session.get(f"{server.page_url}api/v1/version") as response:
            assert response.status == 401
    finally:
        await server.stop()
    assert not path.exists()
