"""A served FakeProxy for the tests of this folder."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from proxy.admin.http_server import HTTPServer
from tests.admin.inspected import FakeProxy


class Answer:
    """Status, headers and text of one answer."""

    def __init__(self, status: int, headers: dict[str, str], text: str) -> None:
        self.status = status
        self.headers = headers
        self.text = text


class ServedProxy:
    """The fake behind a real HTTPServer on free ports."""

    def __init__(self, server: HTTPServer, proxy: FakeProxy) -> None:
        self.proxy = proxy
        self.health_port, self.metrics_port = (runner.addresses[0][1] for runner in server._runners)

    async def health(self, path: str) -> Answer:
        """From the health address."""
        return await self._get(self.health_port, path)

    async def metrics(self, path: str) -> Answer:
        """From the metrics address."""
        return await self._get(self.metrics_port, path)

    async def _get(self, port: int, path: str) -> Answer:
        url = f"http://127.0.0.1:{port}{path}"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            return Answer(response.status, dict(response.headers), await response.text())


@pytest.fixture
async def served_proxy() -> AsyncIterator[ServedProxy]:
    proxy = FakeProxy()
    server = HTTPServer(proxy)
    await server.start(("127.0.0.1", 0), ("127.0.0.1", 0))
    yield ServedProxy(server, proxy)
    await server.stop()
