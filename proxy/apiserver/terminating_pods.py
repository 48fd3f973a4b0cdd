"""Removes Pods whose grace is over, as the kubelet of a real node does.

Invariant: a Pod is removed once, when its deletionTimestamp has come, also where that was while the API was away.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

from proxy.apiserver.document import Key, metadata_of
from proxy.apiserver.kinds import PODS
from proxy.apiserver.status import StatusError
from proxy.apiserver.storage.store import Store
from proxy.apiserver.storage.watcher import Watcher
from proxy.apiserver.writes.deletion import terminates_at
from proxy.apiserver.writes.operations import Operations
from proxy.apiserver.writes.options import DeleteOptions

_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def removing_terminated_pods(
    store: Store, operations: Operations, clock: Callable[[], float]
) -> AsyncIterator[None]:
    """Remove them for as long as this is entered. `clock` gives seconds since the epoch."""
    task = asyncio.create_task(TerminatingPods(store, operations, clock).run(), name="remove terminated Pods")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class TerminatingPods:
    """`due` is when the grace of each terminating Pod ends."""

    def __init__(self, store: Store, operations: Operations, clock: Callable[[], float]) -> None:
        self._store = store
        self._operations = operations
        self._clock = clock
        self._due: dict[Key, float] = {}

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            with self._store.watching(PODS, "") as watcher:
                for key in list(self._store.objects(PODS)):
                    self._look(key)
                await self._follow(watcher)

    async def _follow(self, watcher: Watcher) -> None:
        """Until the watcher has missed something."""
        while not watcher.ended or watcher.is_behind:
            await self._remove_due()
            wait = min(self._due.values()) - self._clock() if self._due else None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    for event in await watcher.next_events():
                        self._look(event.stored.key)

    def _look(self, key: Key) -> None:
        stored = self._store.get(PODS, key)
        due = terminates_at(stored.document) if stored is not None else None
        if due is None:
            self._due.pop(key, None)
        else:
            self._due[key] = due

    async def _remove_due(self) -> None:
        now = self._clock()
        for key in [key for key, due in self._due.items() if due <= now]:
            del self._due[key]
            stored = self._store.get(PODS, key)
            if stored is None:
                continue
            options = DeleteOptions(uid=str(metadata_of(stored.document).get("uid", "")), grace_seconds=0)
            try:
                await self._operations.delete(PODS, key, options)
            except StatusError as error:
                # It has gone meanwhile, or is another one; what cannot be stored is told by the store.
                _log.debug(f"the Pod {'/'.join(key)} is not removed: {error}")
