"""What may be seen of the running proxy: the answers to all that its HTTP servers ask.

Invariant: reads only, and at the moment of asking.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from prometheus_client import CollectorRegistry

from proxy.capture.steering import worker_of
from proxy.configuration.config import Configuration
from proxy.configuration.config_document import configuration_document
from proxy.control.failing_services import FailingServices
from proxy.control.problems import Problems
from proxy.control.proxy_health import ProxyHealth
from proxy.control.reconciler import Reconciler
from proxy.control.sync_metrics import SyncMetrics
from proxy.control.sync_progress import first_state_missing
from proxy.control.synchronizer import Synchronizer
from proxy.dns.name_service import NameService
from proxy.inspection.count_reader import CountReader
from proxy.inspection.endpoint_states import endpoint_states
from proxy.inspection.flow_inspector import FlowInspector
from proxy.inspection.pool_counts import PoolCounts
from proxy.inspection.service_inspector import inspect_service
from proxy.inspection.traffic_reader import read_traffic
from proxy.inspection.worker_lag import read_lags
from proxy.logs import dropped_lines
from proxy.model.changes import ObjectKey
from proxy.model.problem import Problem
from proxy.model.source_statistics import ResourceStatistics
from proxy.paths.path_list import PathList
from proxy.plan.frontend import Frontend
from proxy.plan.local_gaps import local_gaps
from proxy.plan.planner import Planner
from proxy.reports.endpoint_report import ServiceEndpoints
from proxy.reports.recent_changes import RecentChanges
from proxy.reports.report import HealthReport, ProxyStatistics, ServiceReport, WorkerLag, WorkerReport, WorkerUsage
from proxy.reports.traffic_report import Traffic
from proxy.shared_counts.layout import WORKERS, WorkerCell
from proxy.workers.data_plane import DataPlane
from proxy.workers.process_usage import usage_of
from proxy.workers.row_ledger import RowLedger


class ProxyInspector:
    """An Inspected (proxy/admin/inspected.py). `configuration` gives the one in force, `followed` how the source keeps
    up with an API server, `hindrances` why it has no first state."""

    def __init__(
        self,
        configuration: Callable[[], Configuration],
        followed: Callable[[], tuple[ResourceStatistics, ...]],
        hindrances: Callable[[], tuple[Problem, ...]],
        *,
        planner: Planner,
        reconciler: Reconciler,
        paths: PathList,
        data_plane: DataPlane,
        rows: RowLedger,
        name_service: NameService,
        synchronizer: Synchronizer,
        health: ProxyHealth,
        metrics: SyncMetrics,
        problems: Problems,
        failing: FailingServices,
    ) -> None:
        self._configuration = configuration
        self._planner = planner
        self._reconciler = reconciler
        self._paths = paths
        self._data_plane = data_plane
        self._rows = rows
        self._counts = PoolCounts(data_plane.table, rows)
        self._synchronizer = synchronizer
        self._health = health
        self._failing = failing
        self.followed = followed
        self._hindrances = hindrances
        self.flows = FlowInspector(planner, reconciler, paths, data_plane.ask, self._worker_of)
        self.name_service = name_service
        self.measurements: CollectorRegistry = metrics.registry
        self.recent_changes: RecentChanges = synchronizer.recent_changes
        self.problems: Callable[[], tuple[Problem, ...]] = problems.all

    @property
    def ready(self) -> bool:
        return self._health.ready

    @property
    def draining(self) -> bool:
        return self._health.draining

    @property
    def waiting_for(self) -> str:
        return "" if self._synchronizer.has_state else first_state_missing(self._hindrances(), self.followed())

    @property
    def revision(self) -> int:
        return self._synchronizer.revision

    @property
    def configuration(self) -> Mapping[str, Any]:
        return configuration_document(self._configuration())

    def health(self) -> HealthReport:
        return self._health.report(monotonic(), datetime.now(UTC))

    def service_report(self, key: ObjectKey) -> ServiceReport | None:
        service = self._planner.services.get(key)
        if service is None:
            return None
        failures = self._failing.of("/".join(key))
        return inspect_service(service, self._planner, self._reconciler, self._paths, self._counts, failures)

    def service_keys(self) -> Iterable[ObjectKey]:
        return self._planner.services.keys()

    def revision_of(self, key: ObjectKey) -> tuple[object, ...]:
        plan = self._planner.plan_of(key)
        failures = self._reconciler.failures
        faults = [failures[each.key] for each in plan.frontends if each.key in failures] if failures else ()
        name = "/".join(key)
        said = (self.recent_changes.version_of(name), self._failing.of(name))
        return self._planner.services.get(key), plan, *said, *faults

    def count_reader(self) -> CountReader:
        return CountReader(self._data_plane.table, self._rows)

    def workers(self) -> tuple[WorkerReport, ...]:
        return self._data_plane.workers()

    def usages(self) -> tuple[WorkerUsage, ...]:
        return tuple(WorkerUsage(each.index, *usage_of(each.pid)) for each in self.workers())

    def endpoint_states(self) -> Iterator[ServiceEndpoints | None]:
        return endpoint_states(self._planner, self._data_plane.table, self._rows)

    def lags(self) -> tuple[WorkerLag, ...]:
        return read_lags(self._data_plane.table, self._data_plane.width)

    def traffic(self) -> Traffic:
        return read_traffic(
            self._planner.pools,
            self._data_plane.table,
            self._rows,
            self._reconciler.drops,
            per_endpoint=self._configuration().metrics_per_endpoint,
        )

    def statistics(self) -> ProxyStatistics:
        gaps = local_gaps(self._planner.frontends.values())
        counts = self._data_plane.table.totals(WORKERS, 0)
        return ProxyStatistics(
            services=len(self._planner.services),
            frontends=len(self._planner.frontends),
            unbound_frontends=len(self._reconciler.failures),
            failing_services=len(self._failing),
            problems=len(self.problems()),
            known_state_of=self._synchronizer.known_state_of,
            no_local_endpoints_internal=gaps.internal,
            no_local_endpoints_external=gaps.external,
            tcp_connections=counts[WorkerCell.CONNECTIONS],
            udp_flows=counts[WorkerCell.FLOWS],
            affinity_entries=counts[WorkerCell.AFFINITY_ENTRIES],
            affinity_hits_total=counts[WorkerCell.AFFINITY_HITS],
            affinity_misses_total=counts[WorkerCell.AFFINITY_MISSES],
            affinity_evictions_total=counts[WorkerCell.AFFINITY_EVICTIONS],
            affinity_expirations_total=counts[WorkerCell.AFFINITY_EXPIRATIONS],
            dropped_log_lines_total=self._dropped_log_lines(counts[WorkerCell.LOG_LINES_DROPPED]),
            dropped_access_log_lines_total=counts[WorkerCell.ACCESS_LINES_DROPPED],
        )

    def _dropped_log_lines(self, of_workers: int) -> int:
        """A data plane in this process has its log."""
        return of_workers if self._configuration().workers == 0 else of_workers + dropped_lines()

    def _worker_of(self, frontend: Frontend, client: str) -> int:
        """The worker that serves a client's flows to a frontend, if that is sure."""
        return worker_of(client, self._planner.pools[frontend.pool], self._data_plane.width)
