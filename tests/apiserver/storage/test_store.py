"""The store against a dictionary: contents, order, history, durability, and watchers that do not keep up."""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.apiserver.document import Document, Key
from proxy.apiserver.kinds import PODS, SERVICES, Kind
from proxy.apiserver.status import StatusError
from proxy.apiserver.storage.database import Database
from proxy.apiserver.storage.store import Store, Transaction, Write

KINDS = st.sampled_from([PODS, SERVICES])
NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(st.tuples(KINDS, NAMES, st.one_of(st.none(), st.integers(0, 3))), max_size=25)


def document(name: str, content: int = 0) -> Document:
    return {"metadata": {"namespace": "default", "name": name}, "content": content}


def nothing() -> None:
    """For transactions that nobody waits for."""


def writing(*writes: Write, published: Callable[[], None] = nothing, undo: Callable[[], None] = nothing) -> Any:
    return lambda: Transaction(writes, published, undo)


def put(name: str, content: int = 0, kind: Kind = PODS) -> Write:
    return Write(kind, ("default", name), document(name, content))


def delete(name: str, kind: Kind = PODS) -> Write:
    return Write(kind, ("default", name), None)


@contextlib.asynccontextmanager
async def opened(directory: str, **limits: int) -> AsyncIterator[Store]:
    with contextlib.closing(Database(os.path.join(directory, "objects.sqlite"))) as database:
        store = Store(database, **limits)
        async with store.running():
            yield store


def contents(store: Store, kind: Kind) -> dict[str, int]:
    return {key[1]: stored.document["content"] for key, stored in store.objects(kind).items()}


@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_the_store_is_a_dictionary_with_a_memory_that_survives(steps: list[tuple[Kind, str, int | None]]) -> None:
    async def scenario(directory: str) -> None:
        expected: dict[Kind, dict[str, int]] = {PODS: {}, SERVICES: {}}
        states = [(0, {kind: dict(found) for kind, found in expected.items()})]
        async with opened(directory) as store:
            for kind, name, content in steps:
                if content is None:
                    if name not in expected[kind]:
                        continue
                    del expected[kind][name]
                    await store.write(writing(delete(name, kind)))
                else:
                    expected[kind][name] = content
                    await store.write(writing(put(name, content, kind)))
                states.append((store.version, {kind: dict(found) for kind, found in expected.items()}))
            for version, state in states:
                for kind in state:
                    seen = store.objects_at(kind, version)
                    assert seen is not None
                    assert {key[1]: stored.document["content"] for key, stored in seen.items()} == state[kind]
            versions = [event.stored.version for kind in expected for event in store.events_since(0, kind)]
            assert sorted(versions) == list(range(1, len(states)))
        async with opened(directory) as again:
            assert again.version == states[-1][0]
            assert {kind: contents(again, kind) for kind in expected} == expected

    with TemporaryDirectory() as directory:
        asyncio.run(scenario(directory))


async def test_writes_of_a_transaction_are_numbered_in_their_order(tmp_path: Path) -> None:
    async with opened(str(tmp_path)) as store:
        first, second = await store.write(writing(put("a"), put("b")))
        assert (first.version, second.version, store.version) == (1, 2, 2)
        assert second.document["metadata"]["resourceVersion"] == "2"


async def test_concurrent_writes_are_decided_one_after_the_other(tmp_path: Path) -> None:
    async with opened(str(tmp_path)) as store:

        def increment() -> Transaction:
            stored = store.get(PODS, ("default", "a"))
            return Transaction([put("a", stored.document["content"] + 1 if stored else 1)], nothing, nothing)

        await asyncio.gather(*(store.write(increment) for _ in range(20)))
        assert contents(store, PODS) == {"a": 20}


async def test_a_write_that_fails_on_disk_is_undone_and_seen_by_nobody(tmp_path: Path) -> None:
    class Broken(Database):
        def commit(self, rows: Any, version: int) -> None:
            raise sqlite3.OperationalError("database or disk is full")

    undone: list[bool] = []
    with contextlib.closing(Broken(str(tmp_path / "objects.sqlite"))) as database:
        store = Store(database)
        async with store.running():
            with store.watching(PODS, "") as watcher:
                with pytest.raises(StatusError, match="disk is full"):
                    await store.write(writing(put("a"), undo=lambda: undone.append(True)))
                assert not watcher.is_behind
    assert undone == [True]
    assert (contents(store, PODS), store.version) == ({}, 0)


async def test_an_error_of_a_decision_reaches_the_one_who_asked_and_no_other(tmp_path: Path) -> None:
    def refuse() -> Transaction:
        raise ValueError("no")

    async with opened(str(tmp_path)) as store:
        with pytest.raises(ValueError, match="no"):
            await store.write(refuse)
        await store.write(writing(put("a")))
        assert contents(store, PODS) == {"a": 0}


async def test_a_caller_that_is_cancelled_does_not_break_the_write(tmp_path: Path) -> None:
    async with opened(str(tmp_path)) as store:
        asking = asyncio.create_task(store.write(writing(put("a"))))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await store.write(writing(put("b")))
        assert contents(store, PODS) == {"a": 0, "b": 0}


async def test_history_that_was_forgotten_is_refused_and_the_future_is_empty(tmp_path: Path) -> None:
    async with opened(str(tmp_path), history_bytes=1500) as store:
        for content in range(4):
            await store.write(writing(put("a", content)))
        assert [event.stored.version for event in store.events_since(2, PODS)] == [3, 4]
        assert store.events_since(5, PODS) == []
        assert store.objects_at(PODS, 1) is None
        with pytest.raises(StatusError) as refused:
            store.events_since(1, PODS)
        assert refused.value.status.code == 410
        assert refused.value.status.reason == "Expired"


async def test_the_history_of_a_large_object_is_short(tmp_path: Path) -> None:
    def large(number: int) -> Write:
        return Write(PODS, ("default", "a"), {**document("a", number), "filling": "x" * 100_000})

    async with opened(str(tmp_path), history_bytes=1_000_000) as store:
        for number in range(30):
            await store.write(writing(large(number)))
        oldest = store.version - 9
        assert len(store.events_since(oldest, PODS)) == 9
        with pytest.raises(StatusError, match="too old resource version"):
            store.events_since(oldest - 2, PODS)


async def test_a_watcher_that_falls_behind_is_ended_and_holds_up_nobody(tmp_path: Path) -> None:
    async with opened(str(tmp_path), watcher_bytes=1400) as store:
        with store.watching(PODS, "") as slow, store.watching(PODS, "") as quick:
            seen: list[Key] = []
            for name in "abc":
                await store.write(writing(put(name)))
                seen += [event.stored.key for event in await quick.next_events()]
            assert slow.ended
            assert not quick.ended
            assert [key[1] for key in seen] == ["a", "b", "c"]
            assert [event.stored.key[1] for event in await slow.next_events()] == ["a", "b"]
            assert await slow.next_events() == []


async def test_a_single_event_is_never_too_large_for_a_watcher(tmp_path: Path) -> None:
    async with opened(str(tmp_path), watcher_bytes=1) as store:
        with store.watching(PODS, "") as watcher:
            await store.write(writing(put("a")))
            assert [event.stored.key[1] for event in await watcher.next_events()] == ["a"]
            assert not watcher.ended


async def test_a_watcher_sees_its_kind_and_namespace_alone(tmp_path: Path) -> None:
    async with opened(str(tmp_path)) as store:
        with store.watching(PODS, "other") as elsewhere, store.watching(PODS, "default") as here:
            await store.write(writing(put("s", kind=SERVICES), put("a")))
            assert not elsewhere.is_behind
            assert [event.stored.kind for event in await here.next_events()] == [PODS]
