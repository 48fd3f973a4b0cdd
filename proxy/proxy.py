"""The proxy as a whole: one source, the plan, the sockets and the data plane, from start to drain.

What they decide is theirs. Invariants: nothing listens before the source's first complete state; SIGTERM lets what is
connected finish, within the grace period; whatever ends the run, no socket, route or task is left.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from time import monotonic
from typing import Any, TextIO

from msgspec.structs import replace

from proxy.admin.admin_token import read_admin_token
from proxy.admin.http_server import HTTPServer
from proxy.capture.bind_capture import BindCapture
from proxy.capture.capture_choice import automatic_capture, required_lookup
from proxy.capture.external_routes import ExternalRoutes
from proxy.capture.service_routes import ServiceRoutes
from proxy.configuration.config import Configuration
from proxy.configuration.restart_fields import awaiting_restart, in_force
from proxy.control import collector
from proxy.control.address_watch import follow_addresses
from proxy.control.choose_data_plane import choose_data_plane
from proxy.control.descriptor_limit import descriptor_budget, raise_limit
from proxy.control.drain import drain, unless
from proxy.control.ending import Ending
from proxy.control.failing_services import FailingServices
from proxy.control.health_check_ports import HealthCheckPorts
from proxy.control.loop_lag import measure_lag
from proxy.control.node_addresses import local_addresses, node_address_problems
from proxy.control.node_settings import node_name, node_settings
from proxy.control.problems import Problems
from proxy.control.proxy_health import ProxyHealth
from proxy.control.reconciler import Reconciler
from proxy.control.sync_metrics import SyncMetrics
from proxy.control.sync_progress import SyncProgress
from proxy.control.synchronizer import Synchronizer
from proxy.control.termination import Termination
from proxy.dataplane.access_log import AccessLog
from proxy.dns.name_places import name_places
from proxy.dns.name_service import NameService
from proxy.dns.settings import SocketAddress
from proxy.events.event_recorder import EventRecorder
from proxy.inspection.count_reader import CountReader
from proxy.inspection.proxy_inspector import ProxyInspector
from proxy.logs import fields
from proxy.model.problem import Problem
from proxy.model.service import Service
from proxy.nftables.nftables_choice import choose_nftables
from proxy.nftables.nftables_path import NftablesPath
from proxy.paths.path_list import PathList
from proxy.plan.planner import Planner
from proxy.plan.settings import PlanSettings
from proxy.shortcut.shortcut_choice import choose_shortcut
from proxy.sources.source import Source
from proxy.startup_error import StartupError
from proxy.workers.row_ledger import RowLedger
from proxy.workers.row_sweep import sweep_rows

_TEND_PAUSE = 0.25
"""Seconds between two looks of the paths at what is due."""

_log = logging.getLogger(__name__)

OnListening = Callable[[Iterable[Service], Iterable[Problem], str, Sequence[SocketAddress]], None]
"""Called once, when the first state listens: what the proxy holds, what is wrong, the page's URL (or empty), and where
names are answered."""

Reload = Callable[[], Configuration]


class Proxy:
    """Runs until SIGTERM or SIGINT; made inside the running loop. `reload` reads the configuration again (SIGHUP),
    `terminal` is where a person looks on. `inspector` answers what may be asked of it."""

    def __init__(
        self,
        configuration: Configuration,
        source: Source,
        reload: Reload,
        access_log: AccessLog | None = None,
        terminal: TextIO | None = None,
    ) -> None:
        budget = descriptor_budget(
            raise_limit(), standalone=configuration.standalone, names=bool(name_places(configuration))
        )
        token = read_admin_token(configuration.admin_token_file)
        self._configuration = configuration
        self._source = source
        self._reload = reload
        self._termination = Termination()
        self._progress = SyncProgress(source.statistics, terminal)
        self._health = ProxyHealth(datetime.now(UTC))
        self._metrics = SyncMetrics(datetime.now(UTC))
        self._node_name = node_name(configuration)
        self._planner = Planner(node_settings(configuration, self._node_name))
        self._routes = ServiceRoutes()
        self._external = ExternalRoutes(configuration.external_ip_ranges)
        self._rows = RowLedger()
        # The servers and the source open their descriptors later; the reserve is for those.
        self._data_plane = choose_data_plane(configuration, budget, access_log, self._rows)
        self._bind = BindCapture(self._data_plane.width, budget.listening)
        self._reconciler = Reconciler(
            self._data_plane,
            self._bind,
            lambda key: self._routes.covers(key.address) or self._external.hold(key),
            lambda: self._synchronizer.sockets_changed(),
            self._external.release,
        )
        self._paths = PathList()
        self._nftables: NftablesPath | None = None
        self._name_service = NameService(configuration, self._routes.covers, budget.names)
        self._recorder = EventRecorder(source.event_sink(), self._node_name, monotonic)
        self._health_checks = HealthCheckPorts(
            lambda: self._health.wants_traffic(monotonic()),
            lambda: self._problems.tell(),
            self._data_plane.hold,
            most=budget.bounds.health,
            descriptors=budget.health_checks(shared=configuration.workers == 0),
        )
        self._failing = FailingServices(
            self._planner.pools,
            CountReader(self._data_plane.table, self._rows),
            self._data_plane.table,
            self._rows,
            lambda: self._synchronizer.reports_changed(),
        )
        self._problems = Problems(
            self._planner,
            self._reconciler,
            lambda: self._health_checks.problems,
            self._failing.problems,
            source.hindrances,
            self._recorder.record,
        )
        self._synchronizer = Synchronizer(
            self._planner,
            self._reconciler,
            self._paths,
            self._name_service,
            self._health_checks,
            self._health,
            self._metrics,
            self._problems,
            self._choose_capture,
        )
        self.inspector = ProxyInspector(
            lambda: self._configuration,
            source.statistics,
            source.hindrances,
            planner=self._planner,
            reconciler=self._reconciler,
            paths=self._paths,
            data_plane=self._data_plane,
            rows=self._rows,
            name_service=self._name_service,
            synchronizer=self._synchronizer,
            health=self._health,
            metrics=self._metrics,
            problems=self._problems,
            failing=self._failing,
        )
        self._server = HTTPServer(self.inspector, token, budget.bounds)

    async def run(self, on_listening: OnListening | None = None) -> int:
        """Serve until told to stop; gives the exit status. Raises StartupError where the source cannot start."""
        configuration = self._configuration
        # Outermost, so that an impatient third signal cannot end the process before its routes are removed.
        with self._termination.handled(self._hangup):
            async with Ending(self._termination.insisted) as ending:
                ending.add("HTTP", self._server.stop)
                ending.add("routes", lambda: asyncio.to_thread(self._routes.remove))
                ending.add("external routes", lambda: asyncio.to_thread(self._external.remove))
                ending.add("DNS", self._name_service.stop)
                ending.add("listening sockets", self._reconciler.close)
                ending.add("workers", self._data_plane.stop)
                ending.add("nftables", self._remove_nftables)
                ending.add("paths", self._paths.close)
                await unless(self._termination.asked, self._data_plane.start(self._reconciler))
                if configuration.capture == "sklookup":
                    self._reconciler.use(required_lookup(self._data_plane.width))
                # In a thread, because pyroute2 runs an event loop of its own.
                await asyncio.to_thread(self._routes.add, configuration.service_cluster_ip_range)
                await self._server.start(
                    configuration.healthz_bind_address, configuration.metrics_bind_address, configuration.admin_socket
                )
                self._use_shortcut()
                self._use_nftables()
                await self._serve(on_listening)
        return 0

    def _use_shortcut(self) -> None:
        shortcut = choose_shortcut(self._configuration, local_addresses, self._rows, self._data_plane.table)
        if shortcut is not None:
            self._paths.add(shortcut, {}, ())

    def _use_nftables(self) -> None:
        self._nftables = choose_nftables(self._configuration)
        if self._nftables is not None:
            self._paths.add(self._nftables, {}, ())

    def _remove_nftables(self) -> None:
        if self._nftables is not None:
            self._nftables.remove()

    async def _tend_paths(self) -> None:
        while self._paths:
            await asyncio.sleep(_TEND_PAUSE)
            self._paths.tend()

    async def _serve(self, on_listening: OnListening | None) -> None:
        unusable: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                until_the_drain = _start(
                    group,
                    {
                        "follow the source": self._follow(on_listening),
                        "retry binds": self._synchronizer.retry_binds(),
                        "follow addresses": follow_addresses(self._apply_settings),
                        "tend paths": self._tend_paths(),
                        "watch endpoints": self._failing.watch(),
                        "sweep rows": sweep_rows(self._rows, self._data_plane, self._synchronizer.plan_changed),
                    },
                )
                # Load balancers go on asking while it drains, and learn that they shall leave.
                until_the_end = _start(
                    group,
                    {
                        "watch workers": self._data_plane.watch(),
                        "answer health checks": self._health_checks.run(),
                        "measure lag": measure_lag(self._metrics.loop_lag.observe),
                        "write events": self._recorder.run(),
                        "tell what lasts": self._problems.keep_telling(),
                    },
                )
                await self._termination.asked.wait()
                _cancel(until_the_drain)
                await self._drain()
                _cancel(until_the_end)
        except* StartupError as found:
            unusable = found.exceptions[0]
        if unusable is not None:
            # Raised here, since what an except* raises comes out within a group in early versions of Python 3.11.
            raise unusable

    async def _follow(self, on_listening: OnListening | None) -> None:
        collector.expect_growth()
        async with contextlib.aclosing(self._source.changes()) as batches:
            async with self._progress.shown():
                first = await anext(batches)
            self._planner.reconfigure(self._plan_settings())
            self._synchronizer.apply(first)
            await self._in_force()
            await self._name_service.start()
            self._first_state(on_listening)
            async for changes in batches:
                self._synchronizer.apply(changes)

    def _choose_capture(self) -> None:
        if self._configuration.capture == "auto":
            self._reconciler.use(automatic_capture(self._bind, len(self._planner.frontends)))

    async def _in_force(self) -> None:
        """Wait until every worker has taken over what it was told."""
        applied = asyncio.Event()
        self._data_plane.when_applied(applied.set)
        await applied.wait()

    def _first_state(self, on_listening: OnListening | None) -> None:
        self._health.serve()
        collector.settle()
        services, unbound = self._planner.services, len(self._reconciler.failures)
        frontends = len(self._planner.frontends)
        _log.info("serving", extra=fields(services=len(services), frontends=frontends, unbound=unbound))
        if on_listening is not None:
            on_listening(services.values(), self._problems.all(), self._server.page_url, self._name_service.addresses)

    def _hangup(self) -> None:
        """SIGHUP: open the access log anew, and read configuration and source again, unless the end has begun."""
        if self._health.draining:
            return
        self._data_plane.reopen_access_log()
        try:
            configuration = self._reload()
        except StartupError as error:
            _log.error(f"configuration not reread: {error}")
        else:
            self._reconfigure(configuration)
        self._source.reread()

    def _reconfigure(self, configuration: Configuration) -> None:
        """What the plan depends on changes at once, the rest with the next start."""
        waiting = awaiting_restart(self._configuration, configuration)
        self._configuration = in_force(self._configuration, configuration)
        self._apply_settings()
        if waiting:
            _log.warning(f"needs a restart to take effect: {', '.join(waiting)}")
        _log.info("configuration reread")

    def _apply_settings(self) -> None:
        """Serve as the configuration in force asks for on the addresses that this machine has now."""
        settings = self._plan_settings()
        self._problems.of_node = node_address_problems(self._configuration, settings.node_port_addresses)
        self._synchronizer.reconfigure(settings)

    def _plan_settings(self) -> PlanSettings:
        """The plan's settings, with the addresses that the proxy itself answers at as they came to be."""
        configuration = self._configuration
        return node_settings(
            replace(
                configuration,
                healthz_bind_address=self._server.health_address or configuration.healthz_bind_address,
                metrics_bind_address=self._server.metrics_address or configuration.metrics_bind_address,
                api_bind_address=self._source.api_address() or configuration.api_bind_address,
            ),
            self._node_name,
        )

    async def _drain(self) -> None:
        self._health.drain()
        # New clients of the kernel's paths meet the listeners from now on, and so the end of them.
        self._paths.close()
        sockets = self._reconciler.give_up("TCP")
        await drain(self._data_plane, sockets, self._configuration.grace, self._termination.insisted)


def _start(group: asyncio.TaskGroup, work: Mapping[str, Coroutine[Any, Any, None]]) -> tuple["asyncio.Task[None]", ...]:
    return tuple(group.create_task(each, name=name) for name, each in work.items())


def _cancel(tasks: "Iterable[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
