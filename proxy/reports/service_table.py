"""Services as `kubectl get services` shows them.

Invariant: every cell is what the API server puts there (kubernetes pkg/printers/internalversion, printService).
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from proxy.model.service import LoadBalancerStatus, Service, ServicePort
from proxy.reports.human_duration import age
from proxy.reports.table import render_table

_NONE = "<none>"
_LOAD_BALANCER_WIDTH = 16


class ServiceRow(NamedTuple):
    """One Service, cell by cell."""

    namespace: str
    name: str
    type: str
    cluster_ip: str
    external_ip: str
    ports: str
    age: str
    selector: str


def rows(services: Iterable[Service], now: float, *, wide: bool = False) -> tuple[ServiceRow, ...]:
    """A row for each Service, by namespace and name. `now` is in seconds since the epoch; `wide` shows every
    address of a load balancer in full."""
    return tuple(_row(service, now, wide) for service in sorted(services, key=lambda service: service.key))


def render(table: Sequence[ServiceRow], *, namespaces: bool = False, wide: bool = False) -> str:
    """The table as text: `namespaces` adds NAMESPACE in front (kubectl's -A), `wide` SELECTOR at the end."""
    header = ("NAMESPACE", "NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR")
    shown = slice(0 if namespaces else 1, None if wide else -1)
    return render_table(header[shown], [row[shown] for row in table])


def _row(service: Service, now: float, wide: bool) -> ServiceRow:
    spec = service.spec
    return ServiceRow(
        namespace=service.metadata.namespace,
        name=service.metadata.name,
        type=spec.type,
        cluster_ip=cluster_ip(service),
        external_ip=external_ip(service, wide),
        ports=ports(service),
        age=age(service.metadata.creation_timestamp, now),
        selector=selector(service),
    )


def cluster_ip(service: Service) -> str:
    """The cell CLUSTER-IP."""
    return service.spec.cluster_ips[0] if service.spec.cluster_ips else _NONE


def ports(service: Service) -> str:
    """The cell PORT(S)."""
    return ",".join(map(_port, service.spec.ports)) or _NONE


def selector(service: Service) -> str:
    """The cell SELECTOR."""
    return ",".join(f"{key}={value}" for key, value in sorted((service.spec.selector or {}).items())) or _NONE


def external_ip(service: Service, wide: bool) -> str:
    """The cell EXTERNAL-IP; `wide` shows every address of a load balancer in full."""
    spec = service.spec
    if spec.type == "ExternalName":
        return spec.external_name
    external = ",".join(spec.external_ips)
    if spec.type != "LoadBalancer":
        return external or _NONE
    balancer = _load_balancer(service.status.load_balancer, wide)
    return ",".join(part for part in (balancer, external) if part) or "<pending>"


def _load_balancer(status: LoadBalancerStatus, wide: bool) -> str:
    text = ",".join(sorted({ingress.ip or ingress.hostname for ingress in status.ingress} - {""}))
    if wide or len(text) <= _LOAD_BALANCER_WIDTH:
        return text
    return text[: _LOAD_BALANCER_WIDTH - 3] + "..."


def _port(port: ServicePort) -> str:
    number = f"{port.port}:{port.node_port}" if port.node_port else str(port.port)
    return f"{number}/{port.protocol}"
