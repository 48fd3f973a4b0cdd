"""The API with few places: who has them, and what those are told who find none."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from proxy.apiserver.embedded_api import EmbeddedAPI, embedded_api
from proxy.cluster.cluster import ClusterSettings
from proxy.model.changes import Changes

Call = Callable[..., Awaitable[tuple[int, Any]]]

MOST = 4
SERVICES = "/api/v1/services"


@pytest.fixture
async def api(tmp_path: Path, told: list[Changes]) -> AsyncIterator[EmbeddedAPI]:
    """In the place of the usual one, which has room for everybody."""
    state, here = str(tmp_path / "state"), ("127.0.0.1", 0)
    async with embedded_api(state, here, ClusterSettings(), told.append, Random(1), MOST) as running:
        yield running


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def watch(stack: AsyncExitStack, session: aiohttp.ClientSession) -> aiohttp.ClientResponse:
    answer = await stack.enter_async_context(session.get(SERVICES, params={"watch": "true"}))
    assert answer.status == 200
    return answer


async def is_answered(session: aiohttp.ClientSession) -> bool:
    """Beyond those who are just told that there is no room, newcomers do not even get a handshake."""
    try:
        async with session.get(SERVICES) as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


async def test_a_full_api_says_so_as_kubernetes_does(
    session: aiohttp.ClientSession, stack: AsyncExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    watches = [await watch(stack, session) for _ in range(MOST)]
    async with session.get(SERVICES) as refused:
        status = await refused.json()
        assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
    assert (status["kind"], status["reason"], status["code"]) == ("Status", "TooManyRequests", 429)
    (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert record.message == "every connection is in use: newcomers are refused"
    assert record.__dict__["fields"] == {"server": "Kubernetes API", "connections": MOST}
    watches[0].close()
    async with asyncio.timeout(10):
        while not await is_answered(session):  # noqa: ASYNC110 - another task's doing is looked at
            await asyncio.sleep(0.005)


async def test_watches_stay_whoever_else_comes(
    api: EmbeddedAPI, session: aiohttp.ClientSession, call: Call, stack: AsyncExitStack
) -> None:
    watching = await watch(stack, session)
    url = urlsplit(api.url)
    for _ in range(3 * MOST):
        _, writer = await asyncio.open_connection(url.hostname, url.port)
        stack.callback(writer.close)
    body = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    assert (await call("POST", "/api/v1/namespaces/default/services", body))[0] == 201
    assert b'"name":"web"' in await asyncio.wait_for(watching.content.readline(), 10)


async def test_what_is_no_http_is_answered_with_a_status(
    api: EmbeddedAPI, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    url = urlsplit(api.url)
    context = session.connector._ssl  # type: ignore[union-attr]
    reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=context)
    writer.write(b"GET /\r\nnonsense\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
    assert b'"reason":"BadRequest"' in answer
    assert caplog.records == []
