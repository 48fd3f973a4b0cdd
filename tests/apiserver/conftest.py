"""A running API of a test's own, and a client of it over TLS."""

import base64
import io
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from proxy.apiserver.embedded_api import EmbeddedAPI, embedded_api
from proxy.cluster.cluster import ClusterSettings
from proxy.model.changes import Changes

Call = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
def told() -> list[Changes]:
    """Everything that the API told the proxy."""
    return []


@pytest.fixture
async def api(tmp_path: Path, told: list[Changes]) -> AsyncIterator[EmbeddedAPI]:
    settings = ClusterSettings(service_ranges=("10.0.0.0/28",), node_port_range=(30000, 30009), node_name="here")
    async with embedded_api(str(tmp_path / "state"), ("127.0.0.1", 0), settings, told.append, Random(1)) as running:
        yield running


def _loaded(path: str) -> Any:
    return json.loads(Path(path).read_text())


@pytest.fixture
async def session(api: EmbeddedAPI) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP session that trusts the API and is trusted by it, as the kubeconfig says."""
    config = _loaded(api.kubeconfig)
    authority = base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=authority))
    headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
    async with aiohttp.ClientSession(api.url, connector=connector, headers=headers) as session:
        yield session


@pytest.fixture
def call(session: aiohttp.ClientSession) -> Call:
    """`code, document = await call("GET", path, body, content_type="...", accept="...", **query)`."""

    async def called(
        method: str, path: str, body: Any = None, content_type: str = "application/json", accept: str = "", **query: str
    ) -> tuple[int, Any]:
        encoded = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        data = None if encoded is None else io.BytesIO(encoded)
        headers = {"Content-Type": content_type, "Accept": accept or "application/json"}
        async with session.request(method, path, data=data, headers=headers, params=query) as response:
            return response.status, await response.json()

    return called
