"""Columns of Services and endpoints.

Invariant: the cells of a Service that kubectl shows too are kubectl's.
"""

import time

from proxy.admin.api_answers import EndpointAnswer
from proxy.client.columns import GONE, Column
from proxy.reports.human_bytes import human_bytes
from proxy.reports.human_duration import age
from proxy.reports.report import EndpointReport, ServiceReport
from proxy.reports.service_state import state_of
from proxy.reports.service_table import cluster_ip, external_ip, ports, selector


def _created(report: ServiceReport) -> str:
    return report.service.metadata.creation_timestamp


def _schedulers(report: ServiceReport) -> str:
    return ",".join(dict.fromkeys(pool.scheduler for pool in report.pools)) or "<none>"


def _paths(report: ServiceReport) -> str:
    return ",".join(dict.fromkeys(path for each in report.frontends for path in each.paths)) or "<none>"


def _endpoint_count(report: ServiceReport) -> int:
    return len({(each.address, each.port) for pool in report.pools for each in pool.endpoints})


SERVICE_COLUMNS = (
    Column("NAMESPACE", lambda each: each.service.metadata.namespace),
    Column("NAME", lambda each: each.service.metadata.name),
    Column("TYPE", lambda each: each.service.spec.type),
    Column("CLUSTER-IP", lambda each: cluster_ip(each.service)),
    Column("EXTERNAL-IP", lambda each: external_ip(each.service, wide=False), narrow=True),
    Column("EXTERNAL-IP", lambda each: external_ip(each.service, wide=True), wide=True),
    Column("PORT(S)", lambda each: ports(each.service)),
    Column("AGE", lambda each: age(_created(each), time.time()), _created, passing=True),
    Column("SELECTOR", lambda each: selector(each.service), wide=True),
    Column("SCHEDULER", _schedulers, wide=True),
    Column("ENDPOINTS", lambda each: str(_endpoint_count(each)), _endpoint_count, wide=True),
    Column("PATH", _paths, wide=True),
    Column("STATE", state_of, gone=GONE),
)


def endpoint_text(address: str, port: int) -> str:
    """`address:port`, with brackets round IPv6."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def endpoint_state(endpoint: EndpointReport) -> str:
    """Whether the endpoint gets new connections."""
    if endpoint.weight <= 0:
        return "draining"
    return "refusing" if endpoint.failing else "ready"


def port_text(name: str, protocol: str) -> str:
    """A Service port by its name, as kubectl describe writes it."""
    return f"{name or '<unset>'}/{protocol}"


def _address(each: EndpointAnswer) -> str:
    return endpoint_text(each.endpoint.address, each.endpoint.port)


ENDPOINT_COLUMNS = (
    Column("NAMESPACE", lambda each: each.namespace),
    Column("SERVICE", lambda each: each.service),
    Column("PORT", lambda each: port_text(each.port_name, each.protocol)),
    Column("SCHEDULER", lambda each: each.scheduler),
    Column("ENDPOINT", _address),
    Column("POD", lambda each: each.endpoint.pod or "<none>"),
    Column("WEIGHT", lambda each: str(each.endpoint.weight), lambda each: each.endpoint.weight),
    Column("ACTIVE", lambda each: str(each.endpoint.active), lambda each: each.endpoint.active),
    Column("INACTIVE", lambda each: str(each.endpoint.inactive), lambda each: each.endpoint.inactive),
    Column("OPENED", lambda each: str(each.endpoint.opened), lambda each: each.endpoint.opened, wide=True),
    Column(
        "IN",
        lambda each: human_bytes(each.endpoint.received),
        lambda each: each.endpoint.received,
        wide=True,
        passing=True,
    ),
    Column(
        "OUT", lambda each: human_bytes(each.endpoint.sent), lambda each: each.endpoint.sent, wide=True, passing=True
    ),
    Column("POOL", lambda each: each.pool, wide=True),
    Column("STATE", lambda each: endpoint_state(each.endpoint), gone=GONE),
)
