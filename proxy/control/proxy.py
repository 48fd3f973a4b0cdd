"""The proxy as a whole: one source, the plan, the sockets and the data plane, from start to drain.

Imports every room below. Longer than other files, since it is the one place where they all meet; what they decide is
theirs. Invariants: nothing listens before the source's first complete state; SIGTERM lets what is
connected finish, within the grace period; whatever ends the run, no socket, route or task is left.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any, TextIO

from prometheus_client import CollectorRegistry

from proxy.admin.admin_token import read_admin_token
from proxy.admin.http_server import HTTPServer
from proxy.admin.recent_changes import RecentChanges
from proxy.admin.report import HealthReport, ProxyStatistics, ServiceReport, WorkerLag, WorkerReport
from proxy.admin.traffic_report import Traffic
from proxy.config import Configuration
from proxy.config_document import configuration_document
from proxy.control import collector
from proxy.control.bind_capture import BindCapture
from proxy.control.capture_choice import automatic_capture, required_lookup
from proxy.control.choose_data_plane import choose_data_plane
from proxy.control.count_reader import CountReader
from proxy.control.descriptor_limit import http_bounds, most_health_checks, raise_limit
from proxy.control.flow_inspector import FlowInspector
from proxy.control.health_check_ports import HealthCheckPorts
from proxy.control.inspection import inspect_service
from proxy.control.loop_lag import measure_lag
from proxy.control.name_service import NameService
from proxy.control.node_addresses import node_port_addresses
from proxy.control.pool_counts import PoolCounts
from proxy.control.problem_log import ProblemLog
from proxy.control.reconciler import Reconciler
from proxy.control.row_ledger import RowLedger
from proxy.control.row_sweep import sweep_rows
from proxy.control.service_events import ServiceEvents
from proxy.control.service_routes import ServiceRoutes
from proxy.control.steering import worker_of
from proxy.control.sync_health import SyncHealth
from proxy.control.sync_metrics import SyncMetrics
from proxy.control.sync_progress import SyncProgress
from proxy.control.termination import Termination
from proxy.control.traffic_reader import read_traffic
from proxy.dataplane.access_log import AccessLog
from proxy.dataplane.close_reason import CloseReason
from proxy.dns.settings import SocketAddress
from proxy.events.event_recorder import EventRecorder
from proxy.logs import fields
from proxy.model.changes import Changes, ObjectKey
from proxy.model.problem import Problem
from proxy.model.service import Service
from proxy.model.source_statistics import ResourceStatistics
from proxy.plan.frontend import Delta, Frontend
from proxy.plan.local_gaps import local_gaps
from proxy.plan.planner import Planner
from proxy.plan.settings import PlanSettings
from proxy.settings import plan_settings
from proxy.shared_counts.layout import LAG_BOUNDS, WORKERS, WorkerCell
from proxy.sources.source import Source
from proxy.startup_error import StartupError

_REMIND = 60.0
FIRST_RETRY = 1.0
LONGEST_RETRY = 5.0

_log = logging.getLogger(__name__)

OnListening = Callable[[Iterable[Service], Iterable[Problem], str, Sequence[SocketAddress]], None]
"""Called once, when the first state listens: what the proxy holds, what is wrong, the page's URL (or empty), and where
names are answered."""

Reload = Callable[[], Configuration]


def node_name(configuration: Configuration) -> str:
    """This machine's name: the override, or the host name in lower case as the kubelet has it."""
    return configuration.hostname_override or socket.gethostname().lower()


class Proxy:
    """Runs until SIGTERM or SIGINT; made inside the running loop. `reload` reads the configuration again (SIGHUP),
    `terminal` is where a person looks on."""

    def __init__(
        self,
        configuration: Configuration,
        source: Source,
        reload: Reload,
        access_log: AccessLog | None = None,
        terminal: TextIO | None = None,
    ) -> None:
        limit = raise_limit()
        self._configuration = configuration
        self._source = source
        self._reload = reload
        self._planner = Planner(_settings(configuration))
        self._routes = ServiceRoutes()
        self._server = HTTPServer(self, read_admin_token(configuration.admin_token_file), http_bounds(limit))
        # The servers and the source open their descriptors later; the reserve is for those.
        self._rows = RowLedger()
        self._data_plane = choose_data_plane(configuration, limit, access_log, self._rows)
        self._bind = BindCapture(self._data_plane.width, limit)
        self._reconciler = Reconciler(self._data_plane, self._bind, self._routes.covers)
        self._counts = PoolCounts(self._data_plane.table, self._rows)
        self.flows = FlowInspector(self._planner, self._reconciler, self._data_plane.ask, self._worker_of)
        self.name_service = NameService(configuration, self._routes.covers)
        self._termination = Termination()
        self._problems = ProblemLog()
        self.recent_changes = RecentChanges()
        self.revision = 0
        self._source_problems: tuple[Problem, ...] = ()
        self._known_state_of = ""
        self._bind_failed = asyncio.Event()
        self._plan_changed = asyncio.Event()
        self._sync_health = SyncHealth(datetime.now(UTC))
        self._sync_metrics = SyncMetrics(datetime.now(UTC))
        self._node_eligible = True
        self._health_checks = HealthCheckPorts(
            self._is_healthy,
            self._tell,
            self._data_plane.hold,
            most=http_bounds(limit).health,
            descriptors=most_health_checks(limit, shared=configuration.workers == 0),
        )
        self._recorder = EventRecorder(source.event_sink(), node_name(configuration), monotonic)
        self._progress = SyncProgress(source.statistics, terminal)
        self._events = ServiceEvents(self._planner.services, self._recorder.record)
        self.ready = False
        self.draining = False

    async def run(self, on_listening: OnListening | None = None) -> int:
        """Serve until told to stop; gives the exit status. Raises StartupError where the source cannot start."""
        configuration = self._configuration
        # Outermost, so that an impatient third signal cannot end the process before its routes are removed.
        with self._termination.handled(self._hangup):
            try:
                await self._data_plane.start(self._reconciler)
                if configuration.capture == "sklookup":
                    self._reconciler.use(required_lookup(self._data_plane.width))
                # In a thread, because pyroute2 runs an event loop of its own.
                await asyncio.to_thread(self._routes.add, configuration.service_cluster_ip_range)
                await self._server.start(configuration.healthz_bind_address, configuration.metrics_bind_address)
                await self._serve(on_listening)
            finally:
                await self._data_plane.stop()
                self._reconciler.close()
                await self.name_service.stop()
                await asyncio.to_thread(self._routes.remove)
                await self._server.stop()
        return 0

    @property
    def configuration(self) -> Mapping[str, Any]:
        """What is in force, as the document that would say it."""
        return configuration_document(self._configuration)

    def health(self) -> HealthReport:
        """As /healthz says it: a proxy that drains wants no new traffic on its node."""
        return self._sync_health.report(monotonic(), datetime.now(UTC), self._node_eligible and not self.draining)

    def service_report(self, key: ObjectKey) -> ServiceReport | None:
        """What the proxy holds of one Service at this moment."""
        service = self._planner.services.get(key)
        if service is None:
            return None
        return inspect_service(service, self._planner, self._reconciler, self._counts)

    def service_keys(self) -> Iterable[ObjectKey]:
        """The Services known."""
        return self._planner.services.keys()

    def revision_of(self, key: ObjectKey) -> tuple[object, ...]:
        """What a Service's report is made of, counts aside: the same objects for as long as that is the same."""
        plan = self._planner.plan_of(key)
        failures = self._reconciler.failures
        faults = [failures[each.key] for each in plan.frontends if each.key in failures] if failures else ()
        return self._planner.services.get(key), plan, self.recent_changes.version_of("/".join(key)), *faults

    def count_reader(self) -> CountReader:
        """A new reader of the live counts."""
        return CountReader(self._data_plane.table, self._rows)

    def workers(self) -> tuple[WorkerReport, ...]:
        """The data planes, by index."""
        return self._data_plane.workers()

    def lags(self) -> tuple[WorkerLag, ...]:
        """How late the data planes come to what is due, by index."""
        table = self._data_plane.table
        return tuple(_lag(index, table.column_of(WORKERS, 0, index)) for index in range(table.columns))

    @property
    def measurements(self) -> CollectorRegistry:
        """What the control process measures of itself."""
        return self._sync_metrics.registry

    def followed(self) -> tuple[ResourceStatistics, ...]:
        """How the source keeps up with an API server."""
        return self._source.statistics()

    def traffic(self) -> Traffic:
        """What passed through the Services."""
        return read_traffic(
            self._planner.pools,
            self._data_plane.table,
            self._rows,
            self._reconciler.drops,
            per_endpoint=self._configuration.metrics_per_endpoint,
        )

    def statistics(self) -> ProxyStatistics:
        """The counts of this moment."""
        gaps = local_gaps(self._planner.frontends.values())
        counts = self._data_plane.table.totals(WORKERS, 0)
        return ProxyStatistics(
            services=len(self._planner.services),
            frontends=len(self._planner.frontends),
            unbound_frontends=len(self._reconciler.failures),
            problems=len(self.problems()),
            known_state_of=self._known_state_of,
            no_local_endpoints_internal=gaps.internal,
            no_local_endpoints_external=gaps.external,
            tcp_connections=counts[WorkerCell.CONNECTIONS],
            udp_flows=counts[WorkerCell.FLOWS],
            affinity_entries=counts[WorkerCell.AFFINITY_ENTRIES],
            affinity_hits_total=counts[WorkerCell.AFFINITY_HITS],
            affinity_misses_total=counts[WorkerCell.AFFINITY_MISSES],
            affinity_evictions_total=counts[WorkerCell.AFFINITY_EVICTIONS],
            affinity_expirations_total=counts[WorkerCell.AFFINITY_EXPIRATIONS],
        )

    def _worker_of(self, frontend: Frontend, client: str) -> int:
        """The worker that serves a client's flows to a frontend, if that is sure."""
        return worker_of(client, self._planner.pools[frontend.pool], self._data_plane.width)

    async def _serve(self, on_listening: OnListening | None) -> None:
        unusable: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                follow = group.create_task(self._follow(on_listening), name="follow the source")
                retry = group.create_task(self._retry_binds(), name="retry binds")
                answer = group.create_task(self._health_checks.run(), name="answer health checks")
                lag = group.create_task(measure_lag(self._sync_metrics.loop_lag.observe), name="measure lag")
                record = group.create_task(self._recorder.run(), name="write events")
                remind = group.create_task(self._keep_telling(), name="tell what lasts")
                sweeping = sweep_rows(self._rows, self._data_plane, self._plan_changed)
                sweep = group.create_task(sweeping, name="sweep rows")
                await self._termination.asked.wait()
                follow.cancel()
                retry.cancel()
                sweep.cancel()
                # Load balancers go on asking, and learn that they shall leave.
                await self._drain()
                for task in (answer, lag, record, remind):
                    task.cancel()
        except* StartupError as found:
            unusable = found.exceptions[0]
        if unusable is not None:
            # Raised here, since what an except* raises comes out within a group in early versions of Python 3.11.
            raise unusable

    async def _follow(self, on_listening: OnListening | None) -> None:
        collector.expect_growth()
        progress = asyncio.create_task(self._progress.run(), name="show progress")
        try:
            async with contextlib.aclosing(self._source.changes()) as batches:
                async for changes in batches:
                    if not self.ready:
                        await _ended(progress)
                    self._apply(changes)
                    if not self.ready:
                        await self._in_force()
                        await self.name_service.start()
                        self._first_state(on_listening)
        finally:
            await _ended(progress)

    async def _in_force(self) -> None:
        """Wait until every worker has taken over what it was told."""
        applied = asyncio.Event()
        self._data_plane.when_applied(applied.set)
        await applied.wait()

    def _first_state(self, on_listening: OnListening | None) -> None:
        self.ready = True
        collector.settle()
        frontends = len(self._planner.frontends)
        _log.info(
            "serving",
            extra=fields(
                services=len(self._planner.services), frontends=frontends, unbound=len(self._reconciler.failures)
            ),
        )
        if on_listening is not None:
            names_at = self.name_service.addresses
            on_listening(self._planner.services.values(), self.problems(), self._server.page_url, names_at)

    def _apply(self, changes: Changes) -> None:
        began = monotonic()
        self._sync_health.queued(began)
        self._sync_metrics.queued(changes, datetime.now(UTC))
        if changes.problems is not None:
            self._source_problems = changes.problems
        if changes.known_state_of is not None:
            self._known_state_of = changes.known_state_of
        if changes.node is not None:
            self._node_eligible = changes.node.is_eligible
        delta = self._planner.apply(changes)
        if not self.ready and self._configuration.capture == "auto":
            self._reconciler.use(automatic_capture(self._bind, len(self._planner.frontends)))
        self._take(delta)
        self.name_service.apply(changes)
        self._sync_metrics.synced(changes.slices, monotonic() - began, datetime.now(UTC), full=not self.ready)

    def _take(self, delta: Delta) -> None:
        """Let a change of the plan take effect."""
        moment = datetime.now(UTC)
        self.revision += 1
        if delta:
            self._reconciler.apply(delta)
            self._plan_changed.set()
            self.recent_changes.record(delta, moment.isoformat(timespec="milliseconds"))
        self._sync_health.updated(moment)
        self._health_checks.apply(self._planner.health_checks(), self._planner.settings.node_port_addresses)
        self._problems.report((*self._source_problems, *self._planner.problems()))
        self._tell()
        if self._reconciler.failures:
            self._bind_failed.set()

    def _is_healthy(self) -> bool:
        return self._sync_health.is_healthy(monotonic()) and not self.draining

    def _tell(self) -> None:
        """Let the authors of Services know what is wrong with them."""
        self._events.report(self.problems(), monotonic())

    async def _keep_telling(self) -> None:
        while True:
            await asyncio.sleep(_REMIND)
            self._tell()

    def problems(self) -> tuple[Problem, ...]:
        """Everything that something is wrong with now: objects, files, ports."""
        unbound = (
            Problem(str(failure), subject=f"Service {failure.frontend.service}", reason="FailedToListen")
            for failure in self._reconciler.failures.values()
        )
        return (*self._source_problems, *self._planner.problems(), *unbound, *self._health_checks.problems)

    async def _retry_binds(self) -> None:
        """Try what could not be bound again and again, less and less often."""
        while True:
            await self._bind_failed.wait()
            self._bind_failed.clear()
            pause = FIRST_RETRY
            while self._reconciler.failures:
                await asyncio.sleep(pause)
                self._reconciler.retry()
                self.revision += 1
                pause = min(LONGEST_RETRY, pause * 2)

    def _hangup(self) -> None:
        """SIGHUP: read the configuration and the source again, unless the end has begun."""
        if self.draining:
            return
        try:
            configuration = self._reload()
        except StartupError as error:
            _log.error(f"configuration not reread: {error}")
        else:
            self._reconfigure(configuration)
        self._source.reread()

    def _reconfigure(self, configuration: Configuration) -> None:
        """What the plan depends on changes at once, the rest with the next start."""
        before, self._configuration = self._configuration, configuration
        began = monotonic()
        self._take(self._planner.reconfigure(_settings(configuration)))
        self._sync_metrics.synced((), monotonic() - began, datetime.now(UTC), full=True)
        waiting = [name for name in _FIXED if getattr(before, name) != getattr(configuration, name)]
        if waiting:
            _log.warning(f"needs a restart to take effect: {', '.join(waiting)}")
        _log.info("configuration reread")

    async def _drain(self) -> None:
        """Let what is connected finish: until nothing is, the grace period is over, or a second signal."""
        self.ready, self.draining = False, True
        connections = await self._data_plane.stop_accepting(self._reconciler.give_up("TCP"))
        _log.info("draining", extra=fields(connections=connections, grace=self._configuration.grace))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._configuration.grace):
                await _first_of(self._data_plane.empty(), self._termination.insisted.wait())
        left = await self._data_plane.end_all(
            CloseReason.SHUTDOWN if self._termination.insisted.is_set() else CloseReason.DRAIN_DEADLINE
        )
        _log.info("stopped", extra=fields(connections_cut=left))


def _lag(index: int, cells: Sequence[int]) -> WorkerLag:
    counts = cells[WorkerCell.LAG_BUCKETS : WorkerCell.LAG_BUCKETS + len(LAG_BOUNDS) + 1]
    return WorkerLag(index, tuple(counts), cells[WorkerCell.LAG_MICROSECONDS] / 1e6)


_FIXED = (
    "admin_token_file",
    "affinity_entries",
    "access_log",
    "access_log_sample",
    "api_bind_address",
    "capture",
    "client_connection",
    "dns",
    "healthz_bind_address",
    "in_cluster",
    "log_format",
    "log_level",
    "manifests",
    "metrics_bind_address",
    "namespace",
    "node_port_range",
    "service_cluster_ip_range",
    "standalone",
    "state_directory",
    "udp_flows",
    "workers",
)
"""Fields of Configuration that are read once."""


def _settings(configuration: Configuration) -> PlanSettings:
    return plan_settings(configuration, node_name(configuration), node_port_addresses(configuration))


async def _ended(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait for its end. Raises what it ended with."""
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def _first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait until one of them is over."""
    waiting = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
