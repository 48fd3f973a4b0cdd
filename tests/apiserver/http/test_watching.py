"""Watches over TLS: where they begin, what they show, how they end."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import aiohttp
import pytest

from proxy.apiserver.embedded_api import EmbeddedAPI
from proxy.apiserver.http import watching
from proxy.apiserver.http.target import Target
from proxy.apiserver.http.watching import watch_events, watch_request
from proxy.apiserver.kinds import PODS as PODS_KIND
from proxy.apiserver.schema.protobuf import Budget, wire_fields
from proxy.apiserver.schema.protobuf_object import protobuf_object
from proxy.apiserver.schema.schema import record_of
from proxy.apiserver.writes.options import WriteOptions

Call = Callable[..., Awaitable[tuple[int, Any]]]
Next = Callable[[], Coroutine[Any, Any, Any]]

PODS = "/api/v1/namespaces/default/pods"
MERGE = "application/merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def pod(name: str, app: str = "web") -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"app": app}}}


@asynccontextmanager
async def watched(session: aiohttp.ClientSession, accept: str = "", **query: str) -> AsyncIterator[Next]:
    """A function that waits for the next event, or gives None when the stream has ended."""
    headers = {"Accept": accept or "application/json"}
    async with session.get(PODS, params={"watch": "true", **query}, headers=headers) as response:
        assert response.status == 200

        async def next_event() -> Any:
            line = await asyncio.wait_for(response.content.readline(), 10)
            return json.loads(line) if line else None

        yield next_event


def seen(event: Any) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"]["name"]


async def test_a_watch_goes_on_from_a_list_without_gap_or_repetition(
    call: Call, session: aiohttp.ClientSession
) -> None:
    await call("POST", PODS, pod("old"))
    _, listed = await call("GET", PODS)
    await call("POST", PODS, pod("a"))
    async with watched(session, resourceVersion=listed["metadata"]["resourceVersion"]) as next_event:
        assert seen(await next_event()) == ("ADDED", "a")
        await call("PATCH", f"{PODS}/a", {"metadata": {"labels": {"x": "y"}}}, MERGE)
        assert seen(await next_event()) == ("MODIFIED", "a")
        _, last = await call("DELETE", f"{PODS}/a")
        event = await next_event()
        assert seen(event) == ("DELETED", "a")
        assert event["object"]["metadata"]["resourceVersion"] == last["metadata"]["resourceVersion"]


@pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}])
async def test_a_watch_from_nowhere_begins_with_what_is_there(
    call: Call, session: aiohttp.ClientSession, query: dict[str, str]
) -> None:
    await call("POST", PODS, pod("b"))
    await call("POST", PODS, pod("a"))
    async with watched(session, **query) as next_event:
        assert [seen(await next_event()) for _ in range(2)] == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_streaming_list_says_where_it_ends(call: Call, session: aiohttp.ClientSession) -> None:
    await call("POST", PODS, pod("a"))
    query = {"sendInitialEvents": "true", "allowWatchBookmarks": "true", "resourceVersionMatch": "NotOlderThan"}
    async with watched(session, **query) as next_event:
        added = await next_event()
        assert seen(added) == ("ADDED", "a")
        mark = await next_event()
        assert mark["type"] == "BOOKMARK"
        assert mark["object"]["kind"] == "Pod"
        assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        version = mark["object"]["metadata"]["resourceVersion"]
        assert int(version) >= int(added["object"]["metadata"]["resourceVersion"])
        await call("POST", PODS, pod("b"))
        assert seen(await next_event()) == ("ADDED", "b")


async def test_a_watch_may_leave_out_what_is_there(call: Call, session: aiohttp.ClientSession) -> None:
    await call("POST", PODS, pod("a"))
    async with watched(session, sendInitialEvents="false", resourceVersionMatch="NotOlderThan") as next_event:
        await call("POST", PODS, pod("b"))
        assert seen(await next_event()) == ("ADDED", "b")


async def test_a_streaming_list_needs_its_match(call: Call) -> None:
    code, answer = await call("GET", PODS, watch="true", sendInitialEvents="true")
    assert (code, answer["reason"]) == (422, "Invalid")


async def test_an_object_comes_into_sight_and_leaves_it_by_its_labels(
    call: Call, session: aiohttp.ClientSession
) -> None:
    await call("POST", PODS, pod("a", "db"))
    _, listed = await call("GET", PODS)
    version = listed["metadata"]["resourceVersion"]
    async with watched(session, resourceVersion=version, labelSelector="app=web") as next_event:
        await call("PATCH", f"{PODS}/a", {"metadata": {"labels": {"app": "web"}}}, MERGE)
        assert seen(await next_event()) == ("ADDED", "a")
        await call("PATCH", f"{PODS}/a", {"metadata": {"labels": {"app": "db"}}}, MERGE)
        left = await next_event()
        assert seen(left) == ("DELETED", "a")
        assert left["object"]["metadata"]["labels"] == {"app": "web"}


async def test_a_version_that_is_not_remembered_is_gone(api: EmbeddedAPI, session: aiohttp.ClientSession) -> None:
    api.store._history.begins_after = 2
    async with watched(session, resourceVersion="1") as next_event:
        event = await next_event()
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        assert await next_event() is None


async def test_a_watch_from_the_future_is_silent_until_then(call: Call, session: aiohttp.ClientSession) -> None:
    _, listed = await call("GET", PODS)
    future = int(listed["metadata"]["resourceVersion"]) + 1
    async with watched(session, resourceVersion=str(future)) as next_event:
        await call("POST", PODS, pod("a"))
        await call("POST", PODS, pod("b"))
        assert seen(await next_event()) == ("ADDED", "b")


async def test_a_watch_of_metadata_sends_nothing_else(call: Call, session: aiohttp.ClientSession) -> None:
    accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
    await call("POST", PODS, pod("a"))
    async with watched(session, accept=accept) as next_event:
        event = await next_event()
    assert (event["type"], event["object"]["kind"]) == ("ADDED", "PartialObjectMetadata")
    assert event["object"]["apiVersion"] == "meta.k8s.io/v1"
    assert sorted(event["object"]) == ["apiVersion", "kind", "metadata"]


@pytest.mark.parametrize("accept", ["application/yaml", "text/html"])
async def test_a_watch_has_no_form_without_frames(session: aiohttp.ClientSession, accept: str) -> None:
    async with session.get(PODS, params={"watch": "true"}, headers={"Accept": accept}) as response:
        assert response.status == 406
        message = (await response.text()).split("accepted: ")[1]
    assert message.startswith("application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch")


async def test_a_watch_in_protobuf_is_framed_by_lengths(call: Call, session: aiohttp.ClientSession) -> None:
    await call("POST", PODS, pod("a"))
    headers = {"Accept": "application/vnd.kubernetes.protobuf"}
    async with session.get(PODS, params={"watch": "true"}, headers=headers) as response:
        assert response.headers["Content-Type"] == "application/vnd.kubernetes.protobuf;stream=watch"
        length = int.from_bytes(await asyncio.wait_for(response.content.readexactly(4), 10), "big")
        frame = await asyncio.wait_for(response.content.readexactly(length), 10)
    (_, kind), (_, content) = wire_fields(frame, Budget(10_000))
    assert kind == b"ADDED"
    assert isinstance(content, bytes)
    ((_, raw),) = wire_fields(content, Budget(10_000))
    assert isinstance(raw, bytes)
    assert protobuf_object(raw, record_of(PODS_KIND))["metadata"]["name"] == "a"


async def test_a_watch_ends_after_its_timeout(session: aiohttp.ClientSession) -> None:
    async with watched(session, resourceVersion="2", timeoutSeconds="1") as next_event:
        assert await next_event() is None


async def test_every_event_of_a_watch_is_a_table_if_asked_and_the_first_has_the_columns(
    call: Call, session: aiohttp.ClientSession
) -> None:
    await call("POST", PODS, pod("a"))
    await call("POST", PODS, pod("b"))
    async with watched(session, accept=TABLE) as next_event:
        first, second = (await next_event())["object"], (await next_event())["object"]
    assert (first["kind"], second["kind"]) == ("Table", "Table")
    assert first["columnDefinitions"]
    assert not second.get("columnDefinitions")
    assert [table["rows"][0]["cells"][0] for table in (first, second)] == ["a", "b"]


async def test_a_quiet_watch_gets_bookmarks_if_it_wants_them(api: EmbeddedAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "BOOKMARK_INTERVAL", 0.001)
    target = Target(PODS_KIND, "default")
    request = watch_request(target, {"allowWatchBookmarks": "true", "resourceVersion": "2"}, Random(1))
    events = watch_events(api.store, request)
    event = await asyncio.wait_for(anext(events), 10)
    assert (event.type, event.object.document["metadata"]["resourceVersion"]) == ("BOOKMARK", str(api.store.version))


async def test_what_does_not_match_is_not_seen_whatever_happens_to_it(
    call: Call, session: aiohttp.ClientSession
) -> None:
    async with watched(session, resourceVersion="2", labelSelector="app=web") as next_event:
        await call("POST", PODS, pod("other", "db"))
        await call("PATCH", f"{PODS}/other", {"metadata": {"labels": {"x": "y"}}}, MERGE)
        await call("DELETE", f"{PODS}/other")
        await call("POST", PODS, pod("a"))
        assert seen(await next_event()) == ("ADDED", "a")


async def test_a_client_that_goes_away_leaves_no_watcher(api: EmbeddedAPI, session: aiohttp.ClientSession) -> None:
    before = len(api.store._watchers)
    async with watched(session, resourceVersion="2"):
        assert len(api.store._watchers) == before + 1
    for _ in range(100_000):
        if len(api.store._watchers) == before:
            break
        await asyncio.sleep(0)
    assert len(api.store._watchers) == before


async def test_the_end_of_the_api_ends_its_watches(api: EmbeddedAPI, session: aiohttp.ClientSession) -> None:
    async with watched(session, resourceVersion="2") as next_event:
        waiting = asyncio.create_task(next_event())
        await api.operations.create(PODS_KIND, "default", pod("a"), WriteOptions())
        assert seen(await waiting) == ("ADDED", "a")
        api.store.end_watches()
        assert await next_event() is None
