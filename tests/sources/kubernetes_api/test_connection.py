"""The connection to an API server: credentials are read once, however many requests wait for them."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.sources.kubernetes_api import connection as module
from proxy.sources.kubernetes_api.connection import Connection


class Configuration(SimpleNamespace):
    """As much of kubernetes_asyncio's as a connection looks at."""

    def __init__(self, host: str) -> None:
        files = {"ssl_ca_cert": None, "cert_file": None, "key_file": None}
        super().__init__(host=host, verify_ssl=True, tls_server_name=None, proxy=None, **files)

    async def auth_settings(self) -> dict[str, dict[str, str]]:
        return {}


class SlowCredentials:
    """Loads when it is let; each time there is another server."""

    def __init__(self) -> None:
        self.loads = 0
        self.loading, self.let = asyncio.Event(), asyncio.Event()

    def check(self) -> None:
        pass

    async def load(self) -> Any:
        self.loads += 1
        self.loading.set()
        await self.let.wait()
        return Configuration(f"https://server-{self.loads}")


class Client:
    """Remembers what it was asked, and whether it was closed."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.closed = False

    async def request(self, method: str, url: str, **_: object) -> Any:
        assert not self.closed
        self.asked.append(url)
        return _Response()

    async def close(self) -> None:
        self.closed = True


class _Response:
    status = 200

    async def __aenter__(self) -> "_Response":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self) -> bytes:
        return b""


async def test_requests_at_once_share_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    clients: list[Client] = []

    def made(_: object) -> Client:
        clients.append(Client())
        return clients[-1]

    monkeypatch.setattr(module, "_client", made)
    credentials = SlowCredentials()
    connection = Connection(credentials, asyncio.get_running_loop().time, 60.0)
    asking = [asyncio.create_task(connection.send("POST", f"/{each}", "", None)) for each in range(5)]
    async with asyncio.timeout(20):
        await credentials.loading.wait()
        await asyncio.sleep(0)
        credentials.let.set()
        await asyncio.gather(*asking)
    assert credentials.loads == 1
    (client,) = clients
    assert sorted(client.asked) == [f"https://server-1/{each}" for each in range(5)]
    await connection.close()
    assert client.closed
