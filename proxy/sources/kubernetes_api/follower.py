"""Follower: drives one list-watch over the connection.

Invariant: it decides nothing: what to ask and what answers mean is the list-watch's business; an error of the network
ends one request, never the task.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import aiohttp

from proxy.sources.kubernetes_api.connection import Connection, ConnectionFailedError
from proxy.sources.kubernetes_api.line_reader import LineReader, LineTooLongError
from proxy.sources.kubernetes_api.list_watch import ListWatch, Request
from proxy.sources.kubernetes_api.payloads import PayloadError, read_events, read_list, status_message

T = TypeVar("T")


class Follower(Generic[T]):
    """`run` is a task; `tell` is called after every answer that may have changed something."""

    def __init__(self, connection: Connection, list_watch: ListWatch[T], tell: Callable[[], Any]) -> None:
        self._connection = connection
        self._list_watch = list_watch
        self._tell = tell

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            await asyncio.sleep(max(0.0, self._list_watch.ready_at - self._now()))
            await self._exchange(self._list_watch.request())
            self._tell()

    async def _exchange(self, request: Request) -> None:
        """One request, to the end of its answer."""
        patience = self._list_watch.answer_patience
        try:
            async with asyncio.timeout(patience):
                response = await self._connection.get(request)
        except TimeoutError:
            self._list_watch.on_unreachable(f"no answer within {patience:g} s", self._now())
            return
        except ConnectionFailedError as error:
            self._list_watch.on_unreachable(str(error), self._now())
            return
        async with response:
            try:
                await self._read(response, request)
            except TimeoutError:
                self._list_watch.on_silence(self._now())
            except (aiohttp.ClientError, OSError):
                self._list_watch.on_end(self._now(), orderly=False)
            except (LineTooLongError, PayloadError) as error:
                self._list_watch.on_garbled(str(error), self._now())

    async def _read(self, response: aiohttp.ClientResponse, request: Request) -> None:
        if response.status != 200:
            body = await self._patiently(response)
            self._list_watch.on_refused(response.status, status_message(body), self._now())
            return
        self._list_watch.on_accepted(self._now())
        if request.stream:
            await self._read_stream(response)
        else:
            page = read_list(await self._patiently(response), self._list_watch.resource.reader)
            self._list_watch.on_page(page, self._now())

    async def _read_stream(self, response: aiohttp.ClientResponse) -> None:
        lines = LineReader()
        while True:
            async with asyncio.timeout(self._list_watch.patience):
                chunk = await response.content.readany()
            if not chunk:
                self._list_watch.on_end(self._now(), orderly=True)
                return
            events = read_events(lines.feed(chunk), self._list_watch.resource.reader)
            if not self._list_watch.on_events(events, self._now()):
                return
            self._tell()

    async def _patiently(self, response: aiohttp.ClientResponse) -> bytes:
        """The whole body; between two chunks no more than the patience may pass."""
        body = bytearray()
        while True:
            async with asyncio.timeout(self._list_watch.patience):
                chunk = await response.content.readany()
            if not chunk:
                return bytes(body)
            body += chunk

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
