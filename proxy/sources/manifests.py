"""The manifest source: the objects in manifest files and directories of them, followed as the files change.

Invariant: an address is on disk before anybody is told of it; a mistake in a file is reported in `Changes.problems`
and changes nothing else.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace

from proxy.cluster.cluster import Cluster
from proxy.model.changes import Changes, ObjectKey
from proxy.model.problem import Problem
from proxy.model.service import Service
from proxy.model.source_statistics import ResourceStatistics
from proxy.sources.ledger_file import LedgerFile
from proxy.sources.manifest_file import ManifestFile
from proxy.sources.manifest_reader import MOST_BYTES, ManifestReadings, Reading
from proxy.sources.manifest_set import ManifestSet
from proxy.startup_error import StartupError


class FirstSeen:
    """Gives Services of manifests the age that no API server gave them.

    A Service keeps the moment when it was first seen until it is removed. One that states its own creationTimestamp
    keeps that.
    """

    def __init__(self) -> None:
        self._moments: dict[ObjectKey, str] = {}

    def stamped(self, changes: Changes, now: str) -> Changes:
        """The same changes with a creationTimestamp on every Service; `now` is RFC 3339."""
        for key in changes.removed_services:
            self._moments.pop(key, None)
        if not changes.services:
            return changes
        return replace(changes, services=tuple(self._stamp(service, now) for service in changes.services))

    def _stamp(self, service: Service, now: str) -> Service:
        if service.metadata.creation_timestamp:
            return service
        moment = self._moments.setdefault(service.key, now)
        return replace(service, metadata=replace(service.metadata, creation_timestamp=moment))


class ManifestSource:
    """A Source (proxy/sources/source.py). `given` are manifests beside those at `paths`. Raises StartupError
    from `changes` if a path is not there at first.

    The caller keeps `ledger_file` open for as long as it uses `changes`, and closes that generator.
    """

    def __init__(
        self,
        paths: Sequence[str],
        cluster: Cluster,
        ledger_file: LedgerFile,
        most_bytes: int = MOST_BYTES,
        given: Sequence[ManifestFile] = (),
    ) -> None:
        self._paths = tuple(paths)
        self._cluster = cluster
        self._ledger_file = ledger_file
        self._saved = cluster.ledger
        self._save_fault: tuple[Problem, ...] = ()
        self._readings = ManifestReadings(paths, most_bytes, given)
        self._manifests = ManifestSet()
        self._first_seen = FirstSeen()
        self._reported: tuple[Problem, ...] | None = None
        self._unclaimed_released = False

    def event_sink(self) -> None:
        """There is no API to write Events to."""

    def statistics(self) -> tuple[ResourceStatistics, ...]:
        """There is no server to keep up with."""
        return ()

    def hindrances(self) -> tuple[Problem, ...]:
        """There is no server to wait for."""
        return ()

    def api_address(self) -> None:
        """There is no API of its own."""

    def reread(self) -> None:
        """Open every file again, now."""
        self._readings.reread()

    async def changes(self) -> AsyncGenerator[Changes, None]:
        """The complete first state, then every difference, in order."""
        require_paths(self._paths)
        try:
            while True:
                reading = await self._readings.read()
                for changes in await self._apply(reading):
                    yield self._first_seen.stamped(changes, _moment())
                await self._readings.wait()
        finally:
            self._readings.close()

    async def _apply(self, reading: Reading) -> list[Changes]:
        """The changes that a reading makes; the first reading always makes one."""
        put, removed = self._manifests.update(reading.files, reading.deleted)
        batches = [await self._complete(self._cluster.apply(put, removed), reading)]
        if not self._unclaimed_released and self._manifests.complete and not reading.faults:
            self._unclaimed_released = True
            batches.append(await self._complete(self._cluster.release_unclaimed(), reading))
        return [changes for changes in batches if changes != Changes()]

    async def _complete(self, changes: Changes, reading: Reading) -> Changes:
        """`changes` with the problems, if those have changed. Everything given out is on disk before this returns."""
        if self._cluster.ledger is not self._saved:
            await self._save()
        faults = (*reading.faults, *self._readings.problems(), *self._save_fault)
        left_out = self._manifests.left_out(self._cluster.left_out)
        problems = self._manifests.problems(self._cluster.refused) + left_out + faults
        if problems == self._reported:
            return changes
        self._reported = problems
        return replace(changes, problems=problems)

    async def _save(self) -> None:
        """A full disk must not keep a change from being served: it is reported, and the next change tries again."""
        ledger = self._cluster.ledger
        try:
            await asyncio.to_thread(self._ledger_file.save, ledger)
        except OSError as error:
            message = f"cannot be written: {error.strerror}: addresses given out now may be others after a restart"
            self._save_fault = (Problem(message, where=self._ledger_file.path),)
        else:
            self._saved, self._save_fault = ledger, ()


def require_paths(paths: Sequence[str]) -> None:
    """Raises StartupError if one of these is not there."""
    for path in paths:
        if not os.path.exists(path):
            raise StartupError(f"manifests {path} do not exist: make them, or correct --manifests")


def _moment() -> str:
    """Now, as the API server writes a creationTimestamp."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
