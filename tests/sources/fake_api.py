"""A small Kubernetes API over TLS that misbehaves on demand: what a Kubernetes source is tested against.

Imports aiohttp alone. Invariant: `objects` is the truth; lists and streaming lists show it as it is, and a watch tells
what became of it since the version it starts from, but for the faults that a test asks for.
"""

import asyncio
import json
import ssl
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import web

Object = dict[str, Any]
Key = tuple[str, str]

_API_VERSIONS = {"endpointslices": ("discovery.k8s.io/v1", "EndpointSlice"), "pods": ("v1", "Pod")}


class FakeAPI:
    """Serves what `put` and `delete` make of `objects`, at a `port` that a restart keeps."""

    def __init__(self, server_context: ssl.SSLContext) -> None:
        self.objects: dict[str, dict[Key, Object]] = defaultdict(dict)
        self.token = "first-token"
        self.streaming_lists = True
        self.silent_streaming_lists = False
        self.failing_streaming_lists = ""
        self.refuse: dict[tuple[str, str], int] = {}
        self.oldest = 0
        self.port = 0
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.refused_tokens = 0
        self.expire_continue = 0
        self.cut_streaming_lists = 0
        self._history: list[tuple[int, str, str, Object]] = []
        self._version = 10
        self._streams: dict[str, set[asyncio.Queue[bytes | None]]] = defaultdict(set)
        self._context = server_context
        self._runner: web.AppRunner | None = None
        self._watching = asyncio.Event()
        self._request = asyncio.Event()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def start(self) -> None:
        application = web.Application()
        application.router.add_get("/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._context)
        await site.start()
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    async def stop(self) -> None:
        """Cut every connection and listen no more; what is stored stays."""
        assert self._runner is not None
        self.cut()
        await self._runner.cleanup()

    def put(self, plural: str, item: Object, *, tell: bool = True) -> Object:
        """Create or replace an object; gives it with its new version. Untold, watches do not hear of it."""
        key = (item["metadata"].get("namespace", ""), item["metadata"]["name"])
        self._version += 1
        api_version, kind = _API_VERSIONS.get(plural, ("v1", plural[:-1].title()))
        stored = {"apiVersion": api_version, "kind": kind, **item}
        stored["metadata"] = {**item["metadata"], "resourceVersion": str(self._version)}
        event = "MODIFIED" if key in self.objects[plural] else "ADDED"
        self.objects[plural][key] = stored
        self._happened(plural, event, stored, tell=tell)
        return stored

    def delete(self, plural: str, namespace: str, name: str, *, tell: bool = True) -> None:
        gone = self.objects[plural].pop((namespace, name))
        self._version += 1
        gone = {**gone, "metadata": {**gone["metadata"], "resourceVersion": str(self._version)}}
        self._happened(plural, "DELETED", gone, tell=tell)

    def bookmark(self, plural: str) -> None:
        self.emit(plural, "BOOKMARK", {"metadata": {"resourceVersion": str(self._version)}})

    def emit(self, plural: str, event: str, item: Object) -> None:
        """Send an event that says what it likes to every watch."""
        self.send(plural, _line(event, item))

    def send(self, plural: str, raw: bytes | None) -> None:
        """Send bytes to every watch, or (None) cut them."""
        for stream in self._streams[plural]:
            stream.put_nowait(raw)

    def cut(self) -> None:
        for plural in list(self._streams):
            self.send(plural, None)

    def forget_history(self) -> None:
        """From now on a watch from any earlier version is answered with 410."""
        self.oldest = self._version

    async def watched(self, *plurals: str) -> None:
        """Return when each of these has a watch."""
        while not all(self._streams[plural] for plural in plurals):
            self._watching.clear()
            await self._watching.wait()

    async def asked(self, plural: str, times: int) -> None:
        """Return when there were so many requests for this."""
        while sum(each == plural for each, _ in self.requests) < times:
            self._request.clear()
            await self._request.wait()

    def _happened(self, plural: str, event: str, item: Object, *, tell: bool) -> None:
        self._history.append((self._version, plural, event, item))
        if tell:
            self.emit(plural, event, item)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        plural = request.path.rpartition("/")[2]
        self.requests.append((plural, dict(request.query)))
        self._request.set()
        verb = "watch" if request.query.get("watch") == "true" else "list"
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            self.refused_tokens += 1
            return _status(401, "Unauthorized")
        if (plural, verb) in self.refuse:
            return _status(self.refuse[plural, verb], f"{plural} may not be had")
        if verb == "list":
            return self._list(request, plural)
        return await self._watch(request, plural)

    def _list(self, request: web.Request, plural: str) -> web.Response:
        items = list(self._selected(request, plural))
        start = int(request.query.get("continue", "0"))
        if start and self.expire_continue:
            self.expire_continue -= 1
            return _status(410, "The provided continue parameter is too old")
        end = start + int(request.query.get("limit", "1000000"))
        metadata = {"resourceVersion": str(self._version), **({"continue": str(end)} if end < len(items) else {})}
        return web.json_response({"kind": "List", "metadata": metadata, "items": items[start:end]})

    def _selected(self, request: web.Request, plural: str) -> Iterator[Object]:
        for (namespace, _), item in sorted(self.objects[plural].items()):
            if _matches(request.query, request.path, namespace, item):
                yield item

    async def _watch(self, request: web.Request, plural: str) -> web.StreamResponse:
        initial = request.query.get("sendInitialEvents") == "true"
        start = int(request.query.get("resourceVersion") or "0")
        if initial and not self.streaming_lists:
            return _status(422, "sendInitialEvents is forbidden for watch unless WatchList is enabled")
        if not initial and start < self.oldest:
            return _status(410, "too old resource version")
        if initial and self.failing_streaming_lists:
            failure = {"kind": "Status", "code": 500, "message": self.failing_streaming_lists}
            return web.Response(body=_line("ERROR", failure), content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        stream: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._streams[plural].add(stream)
        try:
            await response.prepare(request)
            for line in self._beginning(request, plural, initial=initial, start=start):
                stream.put_nowait(line)
                if initial and self.cut_streaming_lists:
                    self.cut_streaming_lists -= 1
                    stream.put_nowait(None)
                    self.delete(plural, *next(iter(sorted(self.objects[plural]))))
                    break
            self._watching.set()
            while (raw := await stream.get()) is not None:
                await response.write(raw)
        except ConnectionResetError:
            return response
        finally:
            self._streams[plural].discard(stream)
        if request.transport is not None:
            request.transport.close()
        return response

    def _beginning(self, request: web.Request, plural: str, *, initial: bool, start: int) -> Iterator[bytes]:
        if initial:
            yield from (_line("ADDED", item) for item in self._selected(request, plural))
            if not self.silent_streaming_lists:
                annotations = {"k8s.io/initial-events-end": "true"}
                metadata = {"resourceVersion": str(self._version), "annotations": annotations}
                yield _line("BOOKMARK", {"metadata": metadata})
            return
        for version, of, event, item in self._history:
            if of == plural and version > start:
                yield _line(event, item)


def _line(event: str, item: Object) -> bytes:
    return json.dumps({"type": event, "object": item}).encode() + b"\n"


def _status(code: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "message": message}, status=code)


def _matches(query: Mapping[str, str], path: str, namespace: str, item: Object) -> bool:
    if "/namespaces/" in path and f"/namespaces/{namespace}/" not in path:
        return False
    labels = item["metadata"].get("labels") or {}
    selector = query.get("labelSelector", "")
    name, equals, value = selector.removeprefix("!").partition("=")
    if selector.startswith("!"):
        return name not in labels
    if selector:
        return labels.get(name) == value if equals else name in labels
    field = query.get("fieldSelector", "")
    return not field or item["metadata"]["name"] == field.partition("=")[2]
