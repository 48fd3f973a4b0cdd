"""The Kubernetes source: the objects of a cluster, followed through its API server.

Invariant: nothing is yielded before complete lists of Services and EndpointSlices are known, or the last known state
where the API server is away; from then on what is served stays until the API server says otherwise.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from random import Random
from typing import Any

from msgspec.structs import replace

from proxy.events.event_sink import SinkAnswer
from proxy.model.changes import Changes
from proxy.model.problem import Problem
from proxy.model.source_statistics import ResourceStatistics
from proxy.sources.kubernetes_api.cluster_view import ClusterView
from proxy.sources.kubernetes_api.connection import Connection, ConnectionFailedError
from proxy.sources.kubernetes_api.follower import Follower
from proxy.sources.kubernetes_api.known_state import KnownStateError, KnownStateFile
from proxy.sources.kubernetes_api.payloads import status_message
from proxy.sources.kubernetes_api.resource import Scope
from proxy.sources.kubernetes_api.timing import Timing

_log = logging.getLogger(__name__)
_MERGE = "application/merge-patch+json"


class ClusterEvents:
    """Events in the cluster: an EventSink (proxy/events/event_sink.py).

    It needs the rights to create and patch events, and nothing else of the source depends on them.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self, namespace: str, document: dict[str, Any]) -> SinkAnswer:
        """POST it."""
        return await self._send("POST", _path(namespace), "application/json", document)

    async def patch(self, namespace: str, name: str, changes: dict[str, Any]) -> SinkAnswer:
        """PATCH it."""
        return await self._send("PATCH", f"{_path(namespace)}/{name}", _MERGE, changes)

    async def _send(self, method: str, path: str, content_type: str, body: dict[str, Any]) -> SinkAnswer:
        try:
            code, answer = await self._connection.send(method, path, content_type, body)
        except ConnectionFailedError as error:
            raise OSError(str(error)) from error
        return SinkAnswer(code, "" if code < 300 else status_message(answer))


class KubernetesSource:
    """A Source (proxy/sources/source.py). Raises StartupError from `changes` where no connection can ever be made."""

    def __init__(
        self, connection: Connection, scope: Scope, known_state: KnownStateFile, timing: Timing, random: Random
    ) -> None:
        self._connection = connection
        self._known_state = known_state
        self._timing = timing
        self._view = ClusterView(scope, timing, random)
        self._heard = asyncio.Event()
        self._serving = False
        self._overdue = False
        self._asked_known_state = False
        self._reread = False
        self._restored = ""
        self._unsaved = asyncio.Event()
        self._file_fault = ""
        self._logged: set[str] = set()
        self._reported: tuple[Problem, ...] | None = None

    def event_sink(self) -> ClusterEvents:
        """Writes Events to the cluster."""
        return ClusterEvents(self._connection)

    def statistics(self) -> tuple[ResourceStatistics, ...]:
        """How each followed resource keeps up with the API server."""
        now = asyncio.get_running_loop().time()
        return tuple(list_watch.statistics(now) for list_watch in self._view.list_watches)

    def hindrances(self) -> tuple[Problem, ...]:
        """Why there is no first state yet, as far as the API server says; nothing from then on."""
        if self._serving:
            return ()
        return tuple(Problem(said) for said in (*self._faults(), *self._notices()))

    def api_address(self) -> None:
        """There is no API of its own."""

    def reread(self) -> None:
        """Read the credentials and list everything again, now."""
        self._reread = True
        self._heard.set()

    async def changes(self) -> AsyncGenerator[Changes, None]:
        """The complete first state, then every difference, in order."""
        self._connection.check()
        tasks = self._start()
        loop = asyncio.get_running_loop()
        alarm = loop.call_later(self._timing.first_state, self._alarm)
        try:
            while True:
                await self._heard.wait()
                self._heard.clear()
                _raise_failures(tasks)
                if self._reread:
                    await _end(tasks)
                    tasks = self._restart(loop.time())
                if self._serving or await self._begin():
                    changes = self._next()
                    if changes != Changes():
                        yield changes
        finally:
            alarm.cancel()
            await _end(tasks)
            await self._connection.close()
            if self._view.synced and self._unsaved.is_set():
                await self._save()

    def _start(self) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self._keep_saved(), name="save the known state")]
        for list_watch in self._view.list_watches:
            follower: Follower[Any] = Follower(self._connection, list_watch, self._heard.set)
            tasks.append(asyncio.create_task(follower.run(), name=f"follow {list_watch.resource.title}"))
        for task in tasks:
            task.add_done_callback(lambda _: self._heard.set())
        return tasks

    def _restart(self, now: float) -> list[asyncio.Task[None]]:
        self._reread = False
        self._connection.renew()
        for list_watch in self._view.list_watches:
            list_watch.relist(now)
        return self._start()

    def _alarm(self) -> None:
        self._overdue = True
        self._heard.set()

    async def _begin(self) -> bool:
        """Whether there is a first state now: from the API server, or from the last run where that keeps us waiting."""
        if self._is_kept_waiting and not self._asked_known_state:
            self._asked_known_state = True
            await self._restore()
        self._serving = self._view.synced or bool(self._restored)
        if not self._serving:
            self._log_faults()
        return self._serving

    @property
    def _is_kept_waiting(self) -> bool:
        return not self._view.synced and (self._overdue or self._view.hindered)

    async def _restore(self) -> None:
        try:
            known = await asyncio.to_thread(self._known_state.load)
        except KnownStateError as error:
            self._file_fault = str(error)
            return
        if known is not None and not self._view.synced:
            self._view.restore(known.objects)
            self._restored = known.saved

    def _log_faults(self) -> None:
        """Log problems, since there are no changes yet to carry them."""
        for fault in self._faults():
            if fault not in self._logged:
                self._logged.add(fault)
                _log.warning(fault)

    def _faults(self) -> list[str]:
        faults = [f"API server {self._connection.server}: {fault}" for fault in self._view.faults]
        return [*faults, self._file_fault] if self._file_fault else faults

    def _notices(self) -> list[str]:
        return [f"API server {self._connection.server}: {notice}" for notice in self._view.notices]

    def _next(self) -> Changes:
        """What changed, and the problems if those are others than before."""
        changes = self._view.drain()
        if changes != Changes():
            self._unsaved.set()
        if self._view.synced:
            self._restored = ""
        said = (*self._faults(), *self._notices())
        problems = tuple(map(Problem, said)) + self._view.object_problems
        if self._restored:
            problems += (Problem(f"serving last known state of {self._restored}"),)
        if problems == self._reported:
            return changes
        self._reported = problems
        return replace(changes, problems=problems, known_state_of=self._restored)

    async def _keep_saved(self) -> None:
        """Save what is known soon after the first state, and from then on now and then if it changed."""
        await self._unsaved.wait()
        await asyncio.sleep(self._timing.first_save)
        while True:
            await self._unsaved.wait()
            self._unsaved.clear()
            if self._view.synced:
                await self._save()
            await asyncio.sleep(self._timing.save_interval)

    async def _save(self) -> None:
        try:
            await self._known_state.save(self._view.known())
            fault = ""
        except KnownStateError as error:
            fault = str(error)
        if fault != self._file_fault:
            self._file_fault = fault
            self._heard.set()


def _raise_failures(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Raise what ended a follower: it ends only by a defect of this program."""
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel the tasks and wait for their end."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _path(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/events"
