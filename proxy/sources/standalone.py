"""The standalone source: the embedded Kubernetes API, and what it is asked for, as changes.

Nothing of it leaves but Changes. Invariant: an address is on disk before anybody is told of it; what manifests say is
in the API before the first state is complete.
"""

import asyncio
import contextlib
import logging
import shlex
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from random import Random
from urllib.parse import urlsplit

from msgspec.structs import replace

from proxy.apiserver.embedded_api import EmbeddedAPI, embedded_api
from proxy.cluster.cluster import ClusterSettings
from proxy.dns.settings import SocketAddress
from proxy.logs import fields
from proxy.model.changes import Changes
from proxy.model.problem import Problem
from proxy.model.source_statistics import ResourceStatistics
from proxy.serving.bounded_connections import USUAL_BOUNDS
from proxy.sources.manifest_file import ManifestFile
from proxy.sources.manifest_loader import ManifestLoader
from proxy.sources.manifest_reader import MOST_BYTES, ManifestReadings
from proxy.sources.manifests import require_paths
from proxy.sources.merged_changes import merged_changes
from proxy.sources.standalone_events import StandaloneEvents

_log = logging.getLogger(__name__)


class StandaloneSource:
    """A Source (proxy/sources/source.py) whose API keeps its state in `directory` and listens on `address`, for
    `most_connections` at a time. `manifests` are files and directories, `given` is beside them.

    Raises StartupError from `changes` if the API cannot be served or a path of `manifests` is not there at first.
    """

    def __init__(
        self,
        directory: str,
        address: tuple[str, int],
        settings: ClusterSettings,
        manifests: Sequence[str] = (),
        most_connections: int = USUAL_BOUNDS.api,
        most_bytes: int = MOST_BYTES,
        given: Sequence[ManifestFile] = (),
    ) -> None:
        self._directory = directory
        self._address = address
        self._settings = settings
        self._most_connections = most_connections
        self._manifests = tuple(manifests)
        self._has_manifests = bool(manifests or given)
        self._readings = ManifestReadings(manifests, most_bytes, given)
        self._events = StandaloneEvents()
        self._told: list[Changes] = []
        self._news = asyncio.Event()
        self._problems_of_api: tuple[Problem, ...] = ()
        self._problems_of_files: tuple[Problem, ...] = ()

    def event_sink(self) -> StandaloneEvents:
        """Writes Events to the embedded API."""
        return self._events

    def statistics(self) -> tuple[ResourceStatistics, ...]:
        """There is no server to keep up with."""
        return ()

    def hindrances(self) -> tuple[Problem, ...]:
        """There is no server to wait for."""
        return ()

    def api_address(self) -> SocketAddress | None:
        """Where the embedded API answers, once it does."""
        api = self._events.api
        if api is None:
            return None
        url = urlsplit(api.url)
        return url.hostname or "", url.port or 0

    def reread(self) -> None:
        """Open every manifest file again, now. The API reports its changes unasked."""
        self._readings.reread()

    async def changes(self) -> AsyncGenerator[Changes, None]:
        """The complete first state, then every difference, in order."""
        require_paths(self._manifests)
        api = embedded_api(self._directory, self._address, self._settings, self._tell, Random(), self._most_connections)
        async with api as running, self._following(running) as follower:
            self._events.api = running
            _log.info(
                f"serving the Kubernetes API; use it with: export KUBECONFIG={shlex.quote(running.kubeconfig)}",
                extra=fields(url=running.url),
            )
            while True:
                await self._news.wait()
                self._news.clear()
                if follower.done():
                    follower.result()
                if self._told:
                    told, self._told = self._told, []
                    yield merged_changes(told)

    @contextlib.asynccontextmanager
    async def _following(self, api: EmbeddedAPI) -> AsyncIterator[asyncio.Task[None]]:
        """Load the manifests, and keep loading them in a task whose end is news."""
        loader = ManifestLoader(api, self._settings)
        if self._has_manifests:
            await self._load(loader)
        follower = asyncio.create_task(self._follow(loader), name="follow manifests")
        follower.add_done_callback(lambda _: self._news.set())
        try:
            yield follower
        finally:
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)
            self._readings.close()

    async def _follow(self, loader: ManifestLoader) -> None:
        while self._manifests:
            await self._readings.wait()
            await self._load(loader)

    async def _load(self, loader: ManifestLoader) -> None:
        reading = await self._readings.read()
        problems = (*await loader.load(reading), *reading.faults, *self._readings.problems())
        if problems != self._problems_of_files:
            self._problems_of_files = problems
            self._tell(Changes(problems=self._problems_of_api))

    def _tell(self, changes: Changes) -> None:
        """Queue `changes` for the reader of `changes()`. Problems of the API and of the files go together."""
        if changes.problems is not None:
            self._problems_of_api = changes.problems
            changes = replace(changes, problems=self._problems_of_api + self._problems_of_files)
        self._told.append(changes)
        self._news.set()
