"""The store: every object, one resourceVersion over all of them, and one writer.

Imports this room. Invariant: a change is decided on the newest state, made durable, and only then seen and answered,
one after the other in the order of the resourceVersions; reads never wait.
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
from proxy.apiserver.document import Document, Key, Stored, with_metadata
from proxy.apiserver.kinds import KINDS, Kind
from proxy.apiserver.storage.database import Database, Row
from proxy.apiserver.storage.history import Event, History
from proxy.apiserver.storage.watcher import Watcher

HISTORY_LIMIT = 20_000
WATCHER_BOUND = 10_000

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
"""Looks at the store and says what to write; raises StatusError to write nothing. It must not wait for anything."""


class _Job(NamedTuple):
    decide: Decide
    answer: asyncio.Future[list[Stored]]


class Store:
    """Reads are plain calls; `write` works while `running` is entered."""

    def __init__(
        self, database: Database, history_limit: int = HISTORY_LIMIT, watcher_bound: int = WATCHER_BOUND
    ) -> None:
        self._database = database
        self._objects: dict[Kind, dict[Key, Stored]] = {kind: {} for kind in KINDS}
        self.version, stored = database.load()
        for each in stored:
            self._objects[each.kind][each.key] = each
        self._history = History(self.version, history_limit)
        self._watcher_bound = watcher_bound
        self._watchers: set[Watcher] = set()
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()

    def get(self, kind: Kind, key: Key) -> Stored | None:
        """The object under `key`, or None."""
        return self._objects[kind].get(key)

    def objects(self, kind: Kind) -> Mapping[Key, Stored]:
        """Every object of `kind`, now."""
        return MappingProxyType(self._objects[kind])

    def objects_at(self, kind: Kind, version: int) -> Mapping[Key, Stored] | None:
        """Every object of `kind` as it was at `version`, or None if that is forgotten."""
        return self._history.snapshot(self._objects[kind], kind, version)

    def events_since(self, version: int) -> list[Event]:
        """Everything after `version`. Raises StatusError (410) if that is forgotten, or never was."""
        events = self._history.since(version)
        if events is None or version > self.version:
            raise status.expired(self._history.begins_after, version)
        return events

    @contextlib.contextmanager
    def watching(self, kind: Kind, namespace: str) -> Iterator[Watcher]:
        """A watcher that gets every event from now on."""
        watcher = Watcher(kind, namespace, self._watcher_bound)
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
        transaction = decide()
        events = [self._event(write, self.version + 1 + index) for index, write in enumerate(transaction.writes)]
        if events:
            rows = [_row(event) for event in events]
            last = events[-1].stored.version
            loop = asyncio.get_running_loop()
            try:
                await loop.run_in_executor(executor, self._database.commit, rows, last)
            except sqlite3.Error as error:
                transaction.undo()
                _log.error(f"{self._database.path} cannot be written: {error}")
                raise status.internal(f"the change could not be stored: {error}") from error
        for event in events:
            self._publish(event)
        transaction.published()
        return [event.stored for event in events]

    def _event(self, write: Write, version: int) -> Event:
        before = self._objects[write.kind].get(write.key)
        document = write.document
        if document is None:
            assert before is not None, f"{write.kind.kind} {write.key} is deleted twice"
            document = before.document
        numbered = with_metadata(document, resourceVersion=str(version))
        stored = Stored(write.kind, numbered, msgspec.json.encode(numbered), version, write.made)
        return Event(stored, before, deleted=write.document is None)

    def _publish(self, event: Event) -> None:
        self.version = event.stored.version
        if event.deleted:
            del self._objects[event.stored.kind][event.stored.key]
        else:
            self._objects[event.stored.kind][event.stored.key] = event.stored
        self._history.add(event)
        for watcher in self._watchers:
            watcher.publish(event)


def _row(event: Event) -> Row:
    stored = event.stored
    return Row(stored.kind.resource, stored.key, stored.version, stored.made, None if event.deleted else stored.encoded)
