"""The stream over real connections."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from proxy.admin.broadcast import MOST_VIEWERS
from proxy.admin.http_server import HTTPServer
from tests.admin.inspected import FakeProxy, service_report


class Event:
    """One server-sent event."""

    def __init__(self, lines: list[str]) -> None:
        fields = dict(line.split(": ", 1) for line in lines)
        self.id, self.kind = fields.get("id", ""), fields.get("event", "")
        self.data: Any = json.loads(fields.get("data", "null"))


class Stream:
    """Reads events one by one."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def next(self) -> Event:
        """The next event that carries data."""
        lines: list[str] = []
        while line := (await self._response.content.readuntil(b"\n")).decode():
            if line != "\n":
                lines.append(line.rstrip("\n"))
            elif any(each.startswith("data:") for each in lines):
                return Event(lines)
            else:
                lines = []
        raise AssertionError("the stream ended")

    async def rest(self) -> bytes:
        """Everything to the end."""
        return await self._response.content.read()


class Served:
    """A running server whose streams can be opened."""

    def __init__(self, proxy: FakeProxy, server: HTTPServer) -> None:
        self.proxy = proxy
        self.server = server
        self.url = f"http://127.0.0.1:{server._runners[1].addresses[0][1]}/api/v1/stream"

    @asynccontextmanager
    async def stream(self, last_event: str = "") -> AsyncIterator[Stream]:
        headers = {"Last-Event-ID": last_event} if last_event else {}
        async with (
            aiohttp.ClientSession(read_bufsize=1 << 24) as session,
            session.get(self.url, headers=headers) as response,
        ):
            assert (response.status, response.content_type) == (200, "text/event-stream")
            yield Stream(response)


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    proxy = FakeProxy(service_report("shop"))
    server = HTTPServer(proxy)
    await server.start(("127.0.0.1", 0), ("127.0.0.1", 0))
    yield Served(proxy, server)
    await server.stop()


async def test_a_reader_gets_the_whole_picture_and_then_what_changed(served: Served) -> None:
    async with served.stream() as stream:
        first = await stream.next()
        assert (first.kind, list(first.data["services"])) == ("snapshot", ["default/shop"])
        served.proxy.services["default", "web"] = service_report("web")
        second = await stream.next()
        assert (second.kind, list(second.data["services"])) == ("delta", ["default/web"])


async def test_readers_share_the_frames(served: Served) -> None:
    async with served.stream() as one, served.stream() as other:
        await one.next()
        await other.next()
        asked = served.proxy.asked
        served.proxy.services["default", "web"] = service_report("web")
        first, second = await one.next(), await other.next()
        assert (first.id, first.data) == (second.id, second.data)
        assert served.proxy.asked == asked + 1


async def test_a_reader_that_comes_back_goes_on_where_it_was(served: Served) -> None:
    async with served.stream() as stream, served.stream():
        place = (await stream.next()).id
        served.proxy.services["default", "web"] = service_report("web")
        await stream.next()
        async with served.stream(place) as again:
            resumed = await again.next()
            assert (resumed.kind, list(resumed.data["services"])) == ("delta", ["default/web"])


async def test_a_reader_resumes_though_nobody_looked_meanwhile(served: Served) -> None:
    async with served.stream() as stream:
        place = (await stream.next()).id
    served.proxy.services["default", "web"] = service_report("web")
    async with served.stream(place) as again:
        resumed = await again.next()
        assert (resumed.kind, list(resumed.data["services"])) == ("delta", ["default/web"])


@pytest.mark.parametrize("place", ["nonsense", "00000000-1", "{epoch}-9999", "{epoch}-x", "{epoch}-" + "9" * 40])
async def test_a_place_that_is_not_held_gets_the_whole_picture(served: Served, place: str) -> None:
    async with served.stream() as stream:
        epoch = (await stream.next()).id.partition("-")[0]
        async with served.stream(place.format(epoch=epoch)) as other:
            assert (await other.next()).kind == "snapshot"


async def test_so_many_readers_and_no_more(served: Served) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        responses = [await session.get(served.url) for _ in range(MOST_VIEWERS + 1)]
        assert [response.status for response in responses] == [200] * MOST_VIEWERS + [503]
        assert "streams are open" in (await responses[-1].json())["error"]
        for response in responses:
            response.close()


async def test_the_end_of_the_server_ends_the_streams(served: Served) -> None:
    async with served.stream() as stream:
        await stream.next()
        ending = asyncio.create_task(served.server.stop())
        await stream.rest()
        await ending


async def test_one_that_does_not_read_holds_up_nobody(served: Served) -> None:
    served.proxy.services = {
        ("default", f"s{number}"): service_report(f"s{number}", endpoints=50) for number in range(1000)
    }
    host, port = served.server._runners[1].addresses[0][:2]
    _, writer = await asyncio.open_connection(host, port, limit=1)
    writer.write(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with served.stream() as stream:
        assert len((await stream.next()).data["services"]) == 1000
        for number in range(2):
            served.proxy.services["default", f"new{number}"] = service_report("new")
            assert list((await stream.next()).data["services"]) == [f"default/new{number}"]
        ending = asyncio.create_task(served.server.stop())
        await stream.rest()
        await ending
    writer.close()
