"""Endpoints with their live counts, as `svcproxy get endpoints` shows them.

Invariant: one row for each endpoint of each port of a Service, whatever its state.
"""

from collections.abc import Iterable, Iterator

from proxy.reports.report import EndpointReport, PoolReport, ServiceReport
from proxy.reports.table import render_table

_HEADER = ("NAMESPACE", "SERVICE", "PORT", "SCHEDULER", "ENDPOINT", "POD", "WEIGHT", "ACTIVE", "INACTIVE", "STATE")


def render_endpoints(services: Iterable[ServiceReport], namespaces: bool = False) -> str:
    """The table as text; `namespaces` adds NAMESPACE in front."""
    rows = [row for service in services for pool in service.pools for row in _rows(service, pool)]
    first = 0 if namespaces else 1
    return render_table(_HEADER[first:], [row[first:] for row in rows])


def _rows(service: ServiceReport, pool: PoolReport) -> Iterator[tuple[str, ...]]:
    namespace, name = service.service.key
    for endpoint in pool.endpoints:
        yield (
            namespace,
            name,
            f"{pool.port_name or '<unset>'}/{pool.protocol}",
            pool.scheduler,
            f"[{endpoint.address}]:{endpoint.port}"
            if ":" in endpoint.address
            else f"{endpoint.address}:{endpoint.port}",
            endpoint.pod or "<none>",
            str(endpoint.weight),
            str(endpoint.active),
            str(endpoint.inactive),
            _state(endpoint),
        )


def _state(endpoint: EndpointReport) -> str:
    if endpoint.weight <= 0:
        return "draining"
    return "refusing" if endpoint.failing else "ready"
