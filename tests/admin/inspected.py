"""A proxy in a state of the test's choice, for the HTTP servers."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from proxy.configuration.config import Configuration
from proxy.configuration.config_document import configuration_document
from proxy.dns.name_report import NameReport
from proxy.dns.settings import SocketAddress
from proxy.dns.statistics import AnswerCount, DNSStatistics
from proxy.model.changes import ObjectKey
from proxy.model.metadata import ObjectMeta
from proxy.model.problem import Problem
from proxy.model.service import Service, ServicePort, ServiceSpec
from proxy.model.source_statistics import ResourceStatistics
from proxy.reports.endpoint_report import ServiceEndpoints
from proxy.reports.live_frame import EndpointCounts
from proxy.reports.recent_changes import RecentChanges
from proxy.reports.report import (
    EndpointReport,
    FamilyHealth,
    FrontendReport,
    HealthReport,
    PoolReport,
    ProxyStatistics,
    ServiceReport,
    WorkerLag,
    WorkerReport,
    WorkerUsage,
)
from proxy.reports.traffic_report import Traffic
from proxy.shared_counts.layout import LAG_BOUNDS
from tests.admin.inspected_flows import FakeFlows


def service_report(name: str, namespace: str = "default", endpoints: int = 2) -> ServiceReport:
    """A Service of type ClusterIP with one port, which listens."""
    key = f"{namespace}/{name}:http/TCP/IPv4"
    spec = ServiceSpec(type="ClusterIP", cluster_ips=("127.96.0.9",), ports=(ServicePort(80, "http", "TCP"),))
    each = (EndpointReport(f"10.0.0.{number}", 8080, f"pod-{number}", 1, 0, 0, False) for number in range(endpoints))
    return ServiceReport(
        service=Service(ObjectMeta(name=name, namespace=namespace), spec),
        frontends=(FrontendReport("TCP", "127.96.0.9", 80, "ClusterIP", key, True),),
        pools=(PoolReport(key, "http", "TCP", "rr", 0, tuple(each)),),
        notes=(),
    )


UPDATED = datetime(2026, 3, 1, tzinfo=UTC)
ASKED = datetime(2026, 3, 2, tzinfo=UTC)


class FakeNames:
    """Answers for two names."""

    addresses: Sequence[SocketAddress] = (("127.96.0.10", 10053),)

    def names(self) -> Iterator[NameReport]:
        yield NameReport("default", "web", "web.default.svc.cluster.local.", "A", "127.96.0.9", 5)
        yield NameReport("other", "shop", "shop.other.svc.cluster.local.", "A", "127.96.0.8", 5)

    def statistics(self) -> DNSStatistics:
        return DNSStatistics((AnswerCount("udp", "A", "NOERROR", 7),), names=2)


class FakeProxy:
    """`services` may be changed while a server reads it."""

    ready = True
    draining = False
    healthy = True
    eligible = True
    waiting_for = ""

    def __init__(self, *services: ServiceReport) -> None:
        self.services = {report.service.key: report for report in services}
        self.counts: dict[str, dict[int, EndpointCounts]] = {}
        self.recent_changes = RecentChanges()
        self.asked = 0
        self._revision = 0
        self.flows = FakeFlows()
        self.measurements = CollectorRegistry()
        self.resources: tuple[ResourceStatistics, ...] = ()
        self.passed = Traffic()
        self.name_service = FakeNames()

    @property
    def configuration(self) -> Mapping[str, Any]:
        return configuration_document(Configuration())

    def health(self) -> HealthReport:
        return HealthReport(
            last_updated=UPDATED,
            current_time=ASKED,
            node_eligible=self.eligible,
            healthy=self.healthy,
            status={"IPv4": FamilyHealth(UPDATED, self.healthy), "IPv6": FamilyHealth(UPDATED, self.healthy)},
        )

    def problems(self) -> tuple[Problem, ...]:
        return (Problem("is wrong", where="a.yaml"),)

    def service_report(self, key: ObjectKey) -> ServiceReport | None:
        self.asked += 1
        return self.services.get(key)

    @property
    def revision(self) -> int:
        self._revision += 1
        return self._revision

    def service_keys(self) -> Iterable[ObjectKey]:
        return self.services.keys()

    def revision_of(self, key: ObjectKey) -> tuple[object, ...]:
        return (self.services.get(key),)

    def count_reader(self) -> "FakeCountReader":
        return FakeCountReader(self)

    def workers(self) -> tuple[WorkerReport, ...]:
        return (WorkerReport(0, 4711, "running", 0, 7, 4),)

    def usages(self) -> tuple[WorkerUsage, ...]:
        return (WorkerUsage(0, 1.25, 24_000_000),)

    def endpoint_states(self) -> tuple[ServiceEndpoints | None, ...]:
        return (None, ServiceEndpoints("default", "web", 2, 1, 0), ServiceEndpoints("default", "none", 0, 0, 0))

    def lags(self) -> tuple[WorkerLag, ...]:
        return (WorkerLag(0, (*range(len(LAG_BOUNDS)), 2), 1.5),)

    def followed(self) -> tuple[ResourceStatistics, ...]:
        return self.resources

    def traffic(self) -> Traffic:
        return self.passed

    def statistics(self) -> ProxyStatistics:
        return ProxyStatistics(3, 5, 1, 2, "2026-03-01T00:00:00+00:00", 7, 4, 9, 10, 11, 12, 13)


class FakeCountReader:
    """Reads `FakeProxy.counts`."""

    def __init__(self, proxy: FakeProxy) -> None:
        self._proxy = proxy
        self._last: dict[str, dict[int, EndpointCounts]] = {}

    def changed(self) -> Generator[None, None, dict[str, dict[int, EndpointCounts]]]:
        yield
        before, self._last = self._last, deepcopy(self._proxy.counts)
        return {
            pool: {
                place: each
                for place, each in counts.items()
                if before.get(pool, {}).get(place, EndpointCounts()) != each
            }
            for pool, counts in self._last.items()
        }

    def all_of(self, pool: str) -> Mapping[int, EndpointCounts]:
        return self._last.get(pool, {})
