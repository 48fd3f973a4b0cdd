"""Puts together what the running proxy holds of a Service: plan, sockets and live counts in one report.

Invariant: reads only.
"""

from collections.abc import Iterator

from proxy.control.reconciler import Reconciler
from proxy.inspection.pool_counts import PoolCounts
from proxy.model.service import Service
from proxy.paths.path_list import PathList
from proxy.plan.frontend import Frontend, Pool
from proxy.plan.planner import Planner
from proxy.reports.report import EndpointReport, FrontendReport, PoolReport, ServiceReport


def inspect_service(
    service: Service,
    planner: Planner,
    reconciler: Reconciler,
    paths: PathList,
    counts: PoolCounts,
    failures: tuple[str, ...] = (),
) -> ServiceReport:
    """The report of one Service; `failures` are as in ServiceReport."""
    plan = planner.plan_of(service.key)
    owned = [frontend for frontend in plan.frontends if planner.frontends.get(frontend.key) == frontend]
    return ServiceReport(
        service=service,
        frontends=tuple(_frontend(frontend, planner.pools[frontend.pool], reconciler, paths) for frontend in owned),
        pools=tuple(_pool(pool, counts) for pool in plan.pools),
        notes=plan.notes + plan.endpoint_notes,
        failures=failures,
    )


def _frontend(frontend: Frontend, pool: Pool, reconciler: Reconciler, paths: PathList) -> FrontendReport:
    taken = paths.of(frontend, pool)
    failure = reconciler.failures.get(frontend.key)
    return FrontendReport(
        protocol=frontend.key.protocol,
        address=frontend.key.address,
        port=frontend.key.port,
        kind=frontend.kind,
        pool=frontend.pool,
        listening=reconciler.is_listening(frontend.key),
        fault=str(failure) if failure is not None else "",
        paths=taken.paths,
        path_reasons=taken.reasons,
    )


def _pool(pool: Pool, counts: PoolCounts) -> PoolReport:
    return PoolReport(
        key=pool.key,
        port_name=pool.port_name,
        protocol=pool.protocol,
        scheduler=pool.scheduler,
        affinity_seconds=pool.affinity_seconds,
        endpoints=tuple(_endpoints(pool, counts)),
    )


def _endpoints(pool: Pool, counts: PoolCounts) -> Iterator[EndpointReport]:
    for target, count in zip(pool.targets, counts.of(pool.key), strict=True):
        yield EndpointReport(
            address=target.address,
            port=target.port,
            pod=target.pod,
            weight=target.weight,
            active=count.active,
            inactive=count.inactive,
            failing=count.failing > 0,
            opened=count.opened,
            received=count.received,
            sent=count.sent,
        )
