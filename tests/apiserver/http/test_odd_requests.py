"""Requests that no client means: each gets a Status, none a 500, a trace or a place for long."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from proxy.apiserver.embedded_api import EmbeddedAPI
from proxy.apiserver.http import server

Raw = Callable[[bytes], Awaitable[tuple[int, Any]]]
Call = Callable[..., Awaitable[tuple[int, Any]]]
SERVICES = "/api/v1/namespaces/default/services"


@pytest.fixture
async def raw(api: EmbeddedAPI, session: aiohttp.ClientSession) -> AsyncIterator[Raw]:
    """Sends bytes over TLS; gives the code of the answer and its document."""
    url = urlsplit(api.url)
    context = session.connector._ssl  # type: ignore[union-attr]
    writers: list[asyncio.StreamWriter] = []

    async def send(request: bytes) -> tuple[int, Any]:
        reader, writer = await asyncio.open_connection(url.hostname, url.port, ssl=context)
        writers.append(writer)
        writer.write(request)
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            return int(head.split()[1]), json.loads(await reader.readexactly(length))

    yield send
    for writer in writers:
        writer.close()


@pytest.fixture(autouse=True)
def no_complaint(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("path", [b"/x%0ay", b"/%00", b"/x%ff", b"/api/v1/%0a", b"/api/v1/services%0d"])
async def test_an_odd_path_needs_the_token_as_any_other(raw: Raw, session: aiohttp.ClientSession, path: bytes) -> None:
    code, document = await raw(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path)
    assert (code, document["kind"], document["reason"]) == (401, "Status", "Unauthorized")
    token = session.headers["Authorization"].encode()
    code, document = await raw(b"GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n" % (path, token))
    assert (code, document["kind"]) == (404, "Status")


@pytest.mark.parametrize("value", [b"Bearer \xff\xfe", b"Bearer", b"Basic \xff", b"\xff", "Bearer é".encode()])
async def test_a_bearer_that_is_no_text_is_not_the_token(raw: Raw, value: bytes) -> None:
    request = b"GET /api/v1/pods HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\n\r\n" % value
    code, document = await raw(request)
    assert (code, document["reason"]) == (401, "Unauthorized")


DIGITS = b"9" * 5000
SURROGATE = rb'"\ud800"'
PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)


@pytest.mark.parametrize("value", [DIGITS, SURROGATE, b"-" + DIGITS, b"1e" + DIGITS, b"1." + DIGITS])
@pytest.mark.parametrize("content_type", ["application/json", "application/yaml", *PATCHES])
async def test_a_value_that_is_none_is_no_internal_error(call: Call, content_type: str, value: bytes) -> None:
    await call("POST", SERVICES, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    annotations = b'{"apiVersion":"v1","kind":"Service","metadata":{"name":"web","annotations":{"a":%s}}}' % value
    addition = b'[{"op":"add","path":"/metadata/annotations","value":{"a":%s}}]' % value
    body = addition if content_type == "application/json-patch+json" else annotations
    if content_type in PATCHES:
        code, document = await call("PATCH", f"{SERVICES}/web", body, content_type, fieldManager="test")
    else:
        code, document = await call("PUT", f"{SERVICES}/web", body, content_type)
    # Go reads a lone surrogate as U+FFFD; whatever is made of it, it is no fault of ours.
    assert code < 500, document


async def test_a_body_that_never_ends_gives_its_place_back(
    raw: Raw, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 0.05)
    token = session.headers["Authorization"].encode()
    lines = (b"POST %s HTTP/1.1" % SERVICES.encode(), b"Host: x", b"Authorization: " + token, b"Content-Length: 100")
    code, document = await raw(b"\r\n".join((*lines, b"", b"{")))
    assert (code, document["reason"]) == (408, "Timeout")
