"""The store: every object, one resourceVersion over all of them, and one writer.

Invariant: a change is decided on the newest state, made durable, and only then seen and answered, one after the other
in the order of the resourceVersions; reads never wait. Deciding and committing have a thread of their own, so that a
large write holds up other writes and not the loop. The thread only reads the store, and the loop changes it only
while the thread has nothing to do.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from proxy.apiserver import status
from proxy.apiserver.document import Document, Key, Stored, Version, with_metadata
from proxy.apiserver.kinds import KINDS, Kind
from proxy.apiserver.storage.database import Database, Row
from proxy.apiserver.storage.history import Event, History
from proxy.apiserver.storage.watcher import Watcher

HISTORY_BYTES = 64 * 1024 * 1024
WATCHER_BYTES = 32 * 1024 * 1024

_log = logging.getLogger(__name__)


class Write(NamedTuple):
    """An object to put, or with `document` None to delete; `made` as in Stored."""

    kind: Kind
    key: Key
    document: Document | None
    made: bool = False


class Transaction(NamedTuple):
    """Writes that belong together. After them `published` is called, or if they could not be made, `undo`."""

    writes: Sequence[Write]
    published: Callable[[], None]
    undo: Callable[[], None]


Decide = Callable[[], Transaction]
"""Looks at the store and says what to write; raises StatusError to write nothing. It runs in the writer's thread, and
must not wait for anything."""


class _Committed(NamedTuple):
    """What is on disk and not yet seen: each new version, what it replaces, and whether it is the last."""

    changes: Sequence[tuple[Stored, Stored | None, bool]]
    published: Callable[[], None]


class _Job(NamedTuple):
    decide: Decide
    answer: asyncio.Future[list[Stored]]


class Store:
    """Reads are plain calls; `write` works while `running` is entered."""

    def __init__(
        self, database: Database, history_bytes: int = HISTORY_BYTES, watcher_bytes: int = WATCHER_BYTES
    ) -> None:
        self._database = database
        self._objects: dict[Kind, dict[Key, Stored]] = {kind: {} for kind in KINDS}
        self.version, stored = database.load()
        for each in stored:
            self._objects[each.kind][each.key] = each
        self._history = History(self.version, history_bytes)
        self._watcher_bytes = watcher_bytes
        self._watchers: set[Watcher] = set()
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()

    def get(self, kind: Kind, key: Key) -> Stored | None:
        """The object under `key`, or None."""
        return self._objects[kind].get(key)

    def objects(self, kind: Kind) -> Mapping[Key, Stored]:
        """Every object of `kind`, now."""
        return MappingProxyType(self._objects[kind])

    def objects_at(self, kind: Kind, version: int) -> Mapping[Key, Stored | Version] | None:
        """Every object of `kind` as it was at `version`, or None if that is forgotten."""
        return self._history.snapshot(self._objects[kind], kind, version)

    def events_since(self, version: int, kind: Kind, namespace: str = "") -> list[Event]:
        """Every event about `kind` in `namespace`, or with an empty one anywhere, after `version`; of the future there
        are none. Raises StatusError (410) for a past that is forgotten."""
        events = self._history.since(version, kind, namespace)
        if events is None:
            raise status.expired(self._history.begins_after, version)
        return events

    @contextlib.contextmanager
    def watching(self, kind: Kind, namespace: str) -> Iterator[Watcher]:
        """A watcher that gets every event from now on."""
        watcher = Watcher(kind, namespace, self._watcher_bytes)
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def end_watches(self) -> None:
        """End every watch there is."""
        for watcher in self._watchers:
            watcher.end()

    async def write(self, decide: Decide) -> list[Stored]:
        """Do what `decide` says, in turn; gives one Stored for each write. Raises StatusError.

        A caller that is cancelled does not undo the write.
        """
        job = _Job(decide, asyncio.get_running_loop().create_future())
        self._jobs.put_nowait(job)
        return await job.answer

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work off the writes."""
        with ThreadPoolExecutor(1, "store") as executor:
            writer = asyncio.create_task(self._work(executor), name="write to the store")
            try:
                yield
            finally:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
                while not self._jobs.empty():
                    self._jobs.get_nowait().answer.cancel()

    async def _work(self, executor: ThreadPoolExecutor) -> None:
        while True:
            job = await self._jobs.get()
            try:
                stored = await self._do(job.decide, executor)
            except asyncio.CancelledError:
                job.answer.cancel()
                raise
            except Exception as error:
                if not job.answer.done():
                    job.answer.set_exception(error)
            else:
                if not job.answer.done():
                    job.answer.set_result(stored)

    async def _do(self, decide: Decide, executor: ThreadPoolExecutor) -> list[Stored]:
        loop = asyncio.get_running_loop()
        committed = await loop.run_in_executor(executor, self._committed, decide)
        for stored, before, deleted in committed.changes:
            self._publish(stored, before, deleted)
        committed.published()
        return [stored for stored, _, _ in committed.changes]

    def _committed(self, decide: Decide) -> _Committed:
        """Decide and make it durable, in the writer's thread. Raises what `decide` raises, and StatusError (500)."""
        transaction = decide()
        changes = [self._change(write, self.version + 1 + index) for index, write in enumerate(transaction.writes)]
        if changes:
            rows = [_row(stored, deleted) for stored, _, deleted in changes]
            try:
                self._database.commit(rows, changes[-1][0].version)
            except sqlite3.Error as error:
                transaction.undo()
                _log.error(f"{self._database.path} cannot be written: {error}")
                raise status.internal(f"the change could not be stored: {error}") from error
        return _Committed(changes, transaction.published)

    def _change(self, write: Write, version: int) -> tuple[Stored, Stored | None, bool]:
        before = self._objects[write.kind].get(write.key)
        document = write.document
        if document is None:
            assert before is not None, f"{write.kind.kind} {write.key} is deleted twice"
            document = before.document
        # Lists leave out what they have in front of all: proxy/apiserver/http/representation.py.
        typed = {"kind": write.kind.kind, "apiVersion": write.kind.api_version, **document}
        numbered = with_metadata(typed, resourceVersion=str(version))
        stored = Stored(write.kind, numbered, msgspec.json.encode(numbered), version, write.made)
        return stored, before, write.document is None

    def _publish(self, stored: Stored, before: Stored | None, deleted: bool) -> None:
        self.version = stored.version
        if deleted:
            del self._objects[stored.kind][stored.key]
        else:
            self._objects[stored.kind][stored.key] = stored
        event = Event(stored.as_version, before.as_version if before is not None else None, deleted)
        self._history.add(event)
        for watcher in self._watchers:
            watcher.publish(event)


def _row(stored: Stored, deleted: bool) -> Row:
    return Row(stored.kind.resource, stored.key, stored.version, stored.made, None if deleted else stored.encoded)
