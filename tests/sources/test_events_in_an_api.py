"""Events written to the embedded API: by its own process, and over the connection to a cluster."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from proxy.apiserver.embedded_api import EmbeddedAPI, embedded_api
from proxy.apiserver.kinds import EVENTS
from proxy.cluster.cluster import ClusterSettings
from proxy.events.event_series import EventSeries
from proxy.events.event_sink import EventSink
from proxy.events.service_event import ServiceEvent
from proxy.sources.kubernetes import ClusterEvents
from proxy.sources.kubernetes_api.connection import Connection
from proxy.sources.kubernetes_api.credentials import Kubeconfig
from proxy.sources.standalone_events import StandaloneEvents

NOW = datetime.now(UTC)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[EmbeddedAPI]:
    async with embedded_api(str(tmp_path), ("127.0.0.1", 0), ClusterSettings(), lambda _: None, Random(1)) as running:
        yield running


@pytest.fixture(params=["standalone", "cluster"])
async def sink(api: EmbeddedAPI, request: pytest.FixtureRequest) -> AsyncIterator[EventSink]:
    if request.param == "standalone":
        events = StandaloneEvents()
        events.api = api
        yield events
        return
    connection = Connection(Kubeconfig(api.kubeconfig), asyncio.get_running_loop().time, 60.0)
    yield ClusterEvents(connection)
    await connection.close()


def document(moment: datetime = NOW, message: str = "port 80 is taken") -> dict[str, Any]:
    event = ServiceEvent(("default", "web"), "uid", "FailedToListen", "Listen", message)
    write = EventSeries("node-a").observe(event, 0.0, moment)
    assert write is not None
    return write.document


def stored(api: EmbeddedAPI) -> list[dict[str, Any]]:
    return [each.document for each in api.store.objects(EVENTS).values()]


async def test_an_event_is_created_and_counted_up(api: EmbeddedAPI, sink: EventSink) -> None:
    event = document()
    name = event["metadata"]["name"]
    assert (await sink.create("default", event)).code == 201
    assert (await sink.create("default", event)).code == 409
    assert (await sink.patch("default", name, {"count": 2})).code == 200
    (found,) = stored(api)
    assert (found["count"], found["message"], found["source"]["host"]) == (2, "port 80 is taken", "node-a")


async def test_what_the_api_refuses_is_an_answer(sink: EventSink) -> None:
    assert (await sink.patch("default", "nothing", {"count": 2})).code == 404
    refused = await sink.create("nowhere", document() | {"metadata": {"name": "a", "namespace": "nowhere"}})
    assert refused.code == 404
    assert "nowhere" in refused.message


async def test_an_api_that_does_not_run_is_an_error_of_the_system() -> None:
    with pytest.raises(OSError, match="does not run"):
        await StandaloneEvents().create("default", document())
