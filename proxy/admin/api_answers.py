"""The bodies of the API's answers.

Invariant: stable: a field is added, never renamed, and its name on the wire is camelCase.
"""

from collections.abc import Iterable, Iterator

import msgspec

from proxy.dns.name_report import NameReport
from proxy.model.problem import Problem
from proxy.reports.recent_changes import Change
from proxy.reports.report import EndpointReport, ServiceReport, WorkerReport

NO_FIRST_STATE = "NoFirstState"
"""The `reason` of an error that says that there is nothing to list yet."""


class ServicesAnswer(msgspec.Struct, frozen=True):
    """/api/v1/services, by namespace and name."""

    services: tuple[ServiceReport, ...]


class EndpointAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """One endpoint with the pool that it is in; the counts are those of EndpointReport."""

    namespace: str
    service: str
    pool: str
    port_name: str
    protocol: str
    scheduler: str
    affinity_seconds: int
    endpoint: EndpointReport


class EndpointsAnswer(msgspec.Struct, frozen=True):
    """/api/v1/endpoints, by Service and pool."""

    endpoints: tuple[EndpointAnswer, ...]


class NamesAnswer(msgspec.Struct, frozen=True):
    """/api/v1/names, by Service; `addresses` is where they are answered, None from a proxy that does not tell."""

    names: tuple[NameReport, ...]
    addresses: tuple[tuple[str, int], ...] | None = None


class WorkersAnswer(msgspec.Struct, frozen=True):
    """/api/v1/workers, by index."""

    workers: tuple[WorkerReport, ...]


class ProblemsAnswer(msgspec.Struct, frozen=True):
    """/api/v1/problems: objects, files and ports that something is wrong with now."""

    problems: tuple[Problem, ...]


class ChangesAnswer(msgspec.Struct, frozen=True):
    """/api/v1/changes, the oldest first; `last` is what `?after=` of the next request should say."""

    last: int
    changes: tuple[Change, ...]


class VersionAnswer(msgspec.Struct, frozen=True):
    """/api/v1/version."""

    version: str


def endpoints_of(services: Iterable[ServiceReport]) -> Iterator[EndpointAnswer]:
    """Every endpoint of some Services."""
    return (answer for service in services for answer in _endpoints(service))


def _endpoints(report: ServiceReport) -> Iterator[EndpointAnswer]:
    namespace, name = report.service.key
    for pool in report.pools:
        for endpoint in pool.endpoints:
            yield EndpointAnswer(
                namespace=namespace,
                service=name,
                pool=pool.key,
                port_name=pool.port_name,
                protocol=pool.protocol,
                scheduler=pool.scheduler,
                affinity_seconds=pool.affinity_seconds,
                endpoint=endpoint,
            )
