"""What the HTTP servers ask of the running proxy.

Invariant: every member reads; none of them changes what the proxy does.
"""

from collections.abc import Generator, Iterable, Mapping
from typing import Any, Protocol

from prometheus_client import CollectorRegistry

from proxy.admin.inspected_flows import InspectedFlows
from proxy.admin.name_routes import InspectedNames
from proxy.model.changes import ObjectKey
from proxy.model.problem import Problem
from proxy.model.source_statistics import ResourceStatistics
from proxy.reports.endpoint_report import ServiceEndpoints
from proxy.reports.live_frame import EndpointCounts
from proxy.reports.recent_changes import RecentChanges
from proxy.reports.report import HealthReport, ProxyStatistics, ServiceReport, WorkerLag, WorkerReport, WorkerUsage
from proxy.reports.traffic_report import Traffic


class CountReader(Protocol):
    """Reads the live counts of every pool, by its key and the endpoint's place in it."""

    def changed(self) -> Generator[None, None, dict[str, dict[int, EndpointCounts]]]:
        """Those that are other than at the last call; the first call gives all that are not zero. In steps, between
        which others may have their turn; left unfinished, the reader is of no more use."""

    def all_of(self, pool: str) -> Mapping[int, EndpointCounts]:
        """Every endpoint's of one pool, as of the last call of `changed`; empty for a pool that is not there."""


class Inspected(Protocol):
    """The proxy, as far as HTTP may see it."""

    @property
    def ready(self) -> bool:
        """The first complete state listens and no drain has begun."""

    @property
    def draining(self) -> bool:
        """The proxy is on its way out."""

    @property
    def configuration(self) -> Mapping[str, Any]:
        """What is in force, as the document that would say it."""

    @property
    def waiting_for(self) -> str:
        """Why nothing is known yet, in words; empty once there is a first state."""

    def health(self) -> HealthReport:
        """Whether the proxy keeps up, and whether this node shall get traffic."""

    @property
    def recent_changes(self) -> RecentChanges:
        """What changed of late."""

    @property
    def flows(self) -> InspectedFlows:
        """What its workers are asked."""

    @property
    def name_service(self) -> InspectedNames:
        """What it answers for names."""

    def problems(self) -> tuple[Problem, ...]:
        """Everything that something is wrong with now."""

    def service_report(self, key: ObjectKey) -> ServiceReport | None:
        """One Service at this moment; None if it is not known."""

    @property
    def revision(self) -> int:
        """The same as long as every Service's report is the same, counts aside."""

    def service_keys(self) -> Iterable[ObjectKey]:
        """The Services known."""

    def revision_of(self, key: ObjectKey) -> tuple[object, ...]:
        """Equal to an earlier answer if the Service's report is the same, counts aside; cheap to ask and compare."""

    def count_reader(self) -> CountReader:
        """A new reader of the live counts."""

    def workers(self) -> tuple[WorkerReport, ...]:
        """The data planes, by index."""

    def lags(self) -> tuple[WorkerLag, ...]:
        """How late the data planes come to what is due, by index."""

    def statistics(self) -> ProxyStatistics:
        """The counts of this moment."""

    @property
    def measurements(self) -> CollectorRegistry:
        """What the control process measures of itself."""

    def followed(self) -> tuple[ResourceStatistics, ...]:
        """How the source keeps up with an API server; nothing where there is none."""

    def usages(self) -> tuple[WorkerUsage, ...]:
        """What each data plane's process has used of the machine."""

    def endpoint_states(self) -> Iterable[ServiceEndpoints | None]:
        """The endpoints of each Service by state; None is a moment for others to have their turn."""

    def traffic(self) -> Traffic:
        """What passed through the Services."""
