"""Puts together what the running proxy holds: plan, sockets and live counts in one report.

Imports `plan`, the data plane's balancers and `admin.report`. Invariant: reads only.
"""

from collections.abc import Iterable, Iterator, Mapping

from proxy.admin.report import EndpointReport, FrontendReport, PoolReport, ProxyReport, ServiceReport
from proxy.control.reconciler import Reconciler
from proxy.dataplane.balancer import Balancer
from proxy.model.problem import Problem
from proxy.model.service import Service
from proxy.plan.frontend import Frontend
from proxy.plan.planner import Planner


def inspect(
    planner: Planner, reconciler: Reconciler, balancers: Mapping[str, Balancer], problems: Iterable[Problem]
) -> ProxyReport:
    """The report of this moment; `problems` are the source's and the planner's."""
    services = (inspect_service(service, planner, reconciler, balancers) for service in planner.services.values())
    ordered = sorted(services, key=lambda report: report.service.key)
    return ProxyReport(tuple(ordered), tuple(problems))


def inspect_service(
    service: Service, planner: Planner, reconciler: Reconciler, balancers: Mapping[str, Balancer]
) -> ServiceReport:
    """The report of one Service."""
    plan = planner.plan_of(service.key)
    owned = [frontend for frontend in plan.frontends if planner.frontends.get(frontend.key) == frontend]
    pools = [balancers[pool.key] for pool in plan.pools if pool.key in balancers]
    return ServiceReport(
        service=service,
        frontends=tuple(_frontend(frontend, reconciler) for frontend in owned),
        pools=tuple(_pool(balancer) for balancer in pools),
        notes=plan.notes + plan.endpoint_notes,
    )


def _frontend(frontend: Frontend, reconciler: Reconciler) -> FrontendReport:
    failure = reconciler.failures.get(frontend.key)
    return FrontendReport(
        protocol=frontend.key.protocol,
        address=frontend.key.address,
        port=frontend.key.port,
        kind=frontend.kind,
        pool=frontend.pool,
        listening=reconciler.is_listening(frontend.key),
        fault=str(failure) if failure is not None else "",
    )


def _pool(balancer: Balancer) -> PoolReport:
    pool = balancer.pool
    return PoolReport(
        key=pool.key,
        port_name=pool.port_name,
        protocol=pool.protocol,
        scheduler=pool.scheduler,
        affinity_seconds=pool.affinity_seconds,
        endpoints=tuple(_endpoints(balancer)),
    )


def _endpoints(balancer: Balancer) -> Iterator[EndpointReport]:
    for upstream in balancer.upstreams:
        yield EndpointReport(
            address=upstream.address,
            port=upstream.port,
            pod=upstream.pod,
            weight=upstream.weight,
            active=upstream.active,
            inactive=upstream.inactive,
            failing=upstream.failures > 0,
        )
