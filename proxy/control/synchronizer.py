"""Puts into force what the source says: the plan, then the sockets and the data plane, then names and health checks.

Invariant: a change is in force, or waits for a port, before the next one is looked at.
"""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from time import monotonic

from proxy.control.health_check_ports import HealthCheckPorts
from proxy.control.problems import Problems
from proxy.control.proxy_health import ProxyHealth
from proxy.control.reconciler import Reconciler
from proxy.control.sync_metrics import SyncMetrics
from proxy.dns.name_service import NameService
from proxy.model.changes import Changes
from proxy.model.endpoint_slice import EndpointSlice
from proxy.paths.path_list import PathList
from proxy.plan.frontend import Delta
from proxy.plan.planner import Planner
from proxy.plan.settings import PlanSettings
from proxy.reports.recent_changes import RecentChanges

FIRST_RETRY = 1.0
LONGEST_RETRY = 5.0


class Synchronizer:
    """Tells `health`, `metrics` and `problems` how that goes. `before_first` is called once the first state is planned
    and nothing listens yet.

    `revision` is the same as long as every Service's report is, counts aside. `known_state_of` is as in
    ProxyStatistics. `has_state` is whether the source has said anything. `plan_changed` is set with every delta.
    """

    def __init__(
        self,
        planner: Planner,
        reconciler: Reconciler,
        paths: PathList,
        name_service: NameService,
        health_checks: HealthCheckPorts,
        health: ProxyHealth,
        metrics: SyncMetrics,
        problems: Problems,
        before_first: Callable[[], None],
    ) -> None:
        self._planner = planner
        self._reconciler = reconciler
        self._paths = paths
        self._name_service = name_service
        self._health_checks = health_checks
        self._health = health
        self._metrics = metrics
        self._problems = problems
        self._before_first = before_first
        self._bind_failed = asyncio.Event()
        self.plan_changed = asyncio.Event()
        self.recent_changes = RecentChanges()
        self.known_state_of = ""
        self.has_state = False
        self.revision = 0

    def apply(self, changes: Changes) -> None:
        """Take one batch of the source's."""
        began, is_first = monotonic(), not self._health.ready
        self._health.queued(began)
        self._metrics.queued(changes, datetime.now(UTC))
        self.has_state = True
        self._learn(changes)
        delta = self._planner.apply(changes)
        if is_first:
            self._before_first()
        self._take(delta)
        self._name_service.apply(changes)
        self._synced(changes.slices, began, full=is_first)

    def reconfigure(self, settings: PlanSettings) -> None:
        """Plan everything again where the settings are others, and try again what cannot be served."""
        began = monotonic()
        if settings == self._planner.settings:
            self._reconciler.retry()
            self._problems.report()
            return
        self._take(self._planner.reconfigure(settings))
        self._synced((), began, full=True)

    def reports_changed(self) -> None:
        """What is said of a Service is another thing, though the plan is the same."""
        self.revision += 1
        self._problems.report()

    def sockets_changed(self) -> None:
        """A frontend began to listen, failed or recovered, at once or when a worker let go of its port."""
        self.reports_changed()
        if self._reconciler.failures:
            self._bind_failed.set()

    async def retry_binds(self) -> None:
        """Try what cannot be served again and again, less and less often, until cancelled."""
        while True:
            await self._bind_failed.wait()
            self._bind_failed.clear()
            pause = FIRST_RETRY
            while self._reconciler.failures:
                await asyncio.sleep(pause)
                self._reconciler.retry()
                pause = min(LONGEST_RETRY, pause * 2)

    def _learn(self, changes: Changes) -> None:
        """What a batch says beside Services and endpoints."""
        if changes.problems is not None:
            self._problems.of_source = changes.problems
        if changes.known_state_of is not None:
            self.known_state_of = changes.known_state_of
        if changes.node is not None:
            self._health.node_eligible = changes.node.is_eligible

    def _take(self, delta: Delta) -> None:
        """Let a change of the plan take effect."""
        moment = datetime.now(UTC)
        self.revision += 1
        if delta:
            self._reconciler.apply(delta)
            self._paths.apply(delta)
            self.plan_changed.set()
            self.recent_changes.record(delta, moment.isoformat(timespec="milliseconds"))
        self._health.updated(moment)
        self._health_checks.apply(self._planner.health_checks(), self._planner.settings.node_port_addresses)
        self._problems.report()

    def _synced(self, slices: Iterable[EndpointSlice], began: float, *, full: bool) -> None:
        self._metrics.synced(slices, monotonic() - began, datetime.now(UTC), full=full)
