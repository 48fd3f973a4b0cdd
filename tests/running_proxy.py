"""Fixtures: Services, EndpointSlices, and a whole proxy in the test's process."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from proxy.capture.unprivileged_ports import SYSCTL
from proxy.configuration.config import Configuration
from proxy.dns.settings import SocketAddress
from proxy.events.event_sink import EventSink
from proxy.model.changes import Changes
from proxy.model.endpoint_slice import SERVICE_NAME_LABEL, EndpointSlice
from proxy.model.problem import Problem
from proxy.model.service import Service
from proxy.model.source_statistics import ResourceStatistics
from proxy.proxy import Proxy


class ScriptedSource:
    """A source that yields what the test puts in; an exception is raised instead."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Changes | Exception] = asyncio.Queue()
        self.resources: tuple[ResourceStatistics, ...] = ()
        self.hindered_by: tuple[Problem, ...] = ()
        self.sink: EventSink | None = None
        self.rereads = 0
        self.ended = False

    def put(self, item: Changes | Exception) -> None:
        self._queue.put_nowait(item)

    async def changes(self) -> AsyncGenerator[Changes, None]:
        try:
            while True:
                item = await self._queue.get()
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            self.ended = True

    def event_sink(self) -> EventSink | None:
        return self.sink

    def statistics(self) -> tuple[ResourceStatistics, ...]:
        return self.resources

    def hindrances(self) -> tuple[Problem, ...]:
        return self.hindered_by

    def api_address(self) -> SocketAddress | None:
        return None

    def reread(self) -> None:
        self.rereads += 1


class RunningProxy:
    """A proxy, what may be seen of it, its source and the task that runs it."""

    def __init__(self, proxy: Proxy, source: ScriptedSource) -> None:
        self.proxy = proxy
        self.seen = proxy.inspector
        self.source = source
        self.listening = asyncio.Event()
        self.task = asyncio.create_task(proxy.run(lambda *_: self.listening.set()))


Run = Callable[..., Awaitable[RunningProxy]]


def _service(name: str = "web", address: str = "127.96.7.1", port: int = 80, **spec: Any) -> Service:
    document = {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "type": "ClusterIP",
            "clusterIPs": [address],
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
            **spec,
        },
    }
    return msgspec.convert(document, Service)


def _slice(port: int, owner: str = "web", address: str = "127.0.0.1") -> EndpointSlice:
    document = {
        "metadata": {"name": f"{owner}-1", "namespace": "default", "labels": {SERVICE_NAME_LABEL: owner}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "targetRef": {"kind": "Pod", "name": f"{owner}-pod"}}],
        "ports": [{"name": "http", "protocol": "TCP", "port": port}],
    }
    return msgspec.convert(document, EndpointSlice)


@pytest.fixture
def make_service() -> Callable[..., Service]:
    """Makes a Service with one port, of type ClusterIP unless told otherwise."""
    return _service


@pytest.fixture
def make_slice() -> Callable[..., EndpointSlice]:
    """Makes a slice with one ready endpoint."""
    return _slice


@pytest.fixture
def unprivileged_from(network_namespace: None) -> Callable[[int], None]:
    """Says from which port on anybody may bind, in this test's namespace."""

    def set_start(port: int) -> None:
        try:
            SYSCTL.write_text(str(port))
        except OSError as error:
            pytest.skip(f"not permitted: {error}")

    return set_start


@pytest.fixture
async def run_proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Run]:
    """Runs a proxy on the given first changes; every one is ended with the test."""
    # The collector belongs to all tests of this process.
    monkeypatch.setattr(gc, "freeze", lambda: None)
    monkeypatch.setattr(gc, "set_threshold", lambda *thresholds: None)
    running: list[RunningProxy] = []

    async def run(*changes: Changes | Exception, **settings: Any) -> RunningProxy:
        anywhere = {"healthz_bind_address": ("127.0.0.1", 0), "metrics_bind_address": ("127.0.0.1", 0)}
        configuration = Configuration(**(anywhere | {"grace": 5.0, "workers": 0} | settings))
        source = ScriptedSource()
        for item in changes:
            source.put(item)
        running.append(RunningProxy(Proxy(configuration, source, lambda: configuration), source))
        return running[-1]

    yield run
    for one in running:
        one.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await one.task
