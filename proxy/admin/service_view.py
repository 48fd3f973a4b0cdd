"""One Service's report as the page shows it.

Invariant: a pure function; counts are left to the frames, so a view changes with the plan alone.
"""

from proxy.model.service import ServicePort
from proxy.reports.live_frame import AddressView, EndpointView, PoolView, ServiceView
from proxy.reports.report import PoolReport, ServiceReport
from proxy.reports.service_state import level_of, state_of


def service_view(report: ServiceReport) -> ServiceView:
    """The view of one Service."""
    service = report.service
    return ServiceView(
        namespace=service.metadata.namespace,
        name=service.metadata.name,
        type=service.spec.type,
        ports=", ".join(map(_port, service.spec.ports)),
        created=service.metadata.creation_timestamp,
        level=level_of(report),
        state=state_of(report),
        addresses=tuple(
            AddressView(each.kind, each.protocol, each.address, each.port, each.fault) for each in report.frontends
        ),
        pools=tuple(map(_pool, report.pools)),
        paths=tuple(dict.fromkeys(path for each in report.frontends for path in each.paths)),
    )


def _pool(pool: PoolReport) -> PoolView:
    return PoolView(
        key=pool.key,
        port_name=pool.port_name,
        protocol=pool.protocol,
        scheduler=pool.scheduler,
        affinity_seconds=pool.affinity_seconds,
        endpoints=tuple(EndpointView(each.address, each.port, each.pod, each.weight) for each in pool.endpoints),
    )


def _port(port: ServicePort) -> str:
    number = f"{port.port}:{port.node_port}" if port.node_port else str(port.port)
    return f"{number}/{port.protocol}"
