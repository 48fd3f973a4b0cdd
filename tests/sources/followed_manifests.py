"""A manifest source that runs, and what all its changes add up to.

Every wait has a bound and ends with what it waits for.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from proxy.cluster.cluster import Cluster, ClusterSettings
from proxy.model.changes import Changes
from proxy.sources.ledger_file import LedgerFile
from proxy.sources.manifests import ManifestSource

_BOUND_SECONDS = 20


class Followed:
    """A running source, and what all its changes so far add up to."""

    def __init__(self, source: ManifestSource, cluster: Cluster) -> None:
        self.source = source
        self.cluster = cluster
        self.notes: dict[str, str] = {}
        self.addresses: dict[str, str] = {}
        self.problems: list[str] = []
        self._changes = source.changes()
        self._idle = asyncio.Event()
        self._wait = source._readings.wait
        source._readings.wait = self._tell_and_wait  # type: ignore[method-assign]

    async def _tell_and_wait(self) -> None:
        self._idle.set()
        await self._wait()

    async def after(self, edit: Callable[[], object]) -> Changes:
        """The changes that follow an edit which is made while the source waits to be told."""
        self._idle.clear()
        changes = asyncio.create_task(self.next())
        async with asyncio.timeout(_BOUND_SECONDS):
            await self._idle.wait()
        edit()
        return await changes

    async def next(self) -> Changes:
        async with asyncio.timeout(_BOUND_SECONDS):
            changes = await anext(self._changes)
        for _, name in changes.removed_services:
            del self.notes[name]
        for each in changes.services:
            self.notes[each.metadata.name] = each.metadata.annotations.get("note", "")
            self.addresses[each.metadata.name] = each.spec.cluster_ip
        if changes.problems is not None:
            self.problems = [str(problem) for problem in changes.problems]
        return changes

    async def until(self, reached: Callable[["Followed"], bool]) -> None:
        for _ in range(100):
            if reached(self):
                return
            await self.next()
        raise AssertionError(f"never reached: {self.notes} {self.problems}")

    async def close(self) -> None:
        assert isinstance(self._changes, AsyncGenerator)
        await self._changes.aclose()


@asynccontextmanager
async def following(*directories: Path, state: Path) -> AsyncIterator[Followed]:
    with LedgerFile(str(state)) as ledger_file:
        cluster = Cluster(ClusterSettings(), ledger_file.load(), Random(1))
        followed = Followed(ManifestSource([str(each) for each in directories], cluster, ledger_file), cluster)
        try:
            await followed.next()
            yield followed
        finally:
            await followed.close()
    assert followed.source._readings._watch._inotify is None


def replace_file(path: Path, text: str) -> None:
    """As editors do it: write another file, and rename."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text)
    os.replace(temporary, path)
