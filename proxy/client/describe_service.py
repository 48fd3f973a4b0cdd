"""A Service in full, in the form of `kubectl describe`.

Pure. Invariant: everything that the proxy knows of the Service is said once, and what keeps it from being served is
said at the place that it concerns.
"""

from collections.abc import Iterable, Sequence

from proxy.client.service_columns import endpoint_state, endpoint_text, port_text
from proxy.model.problem import Problem
from proxy.plain_text import plain
from proxy.reports.human_bytes import human_bytes
from proxy.reports.human_duration import age
from proxy.reports.recent_changes import Change
from proxy.reports.report import FrontendReport, PoolReport, ServiceReport
from proxy.reports.service_state import state_of
from proxy.reports.service_table import selector
from proxy.reports.table import render_table

_INDENT = "  "
_MOST_CHANGES = 10


def describe_service(report: ServiceReport, problems: Iterable[Problem], changes: Iterable[Change], now: float) -> str:
    """The text; of `problems` and `changes` those of the Service are shown. `now` is in seconds since the epoch."""
    namespace, name = report.service.key
    wrong = [problem for problem in problems if problem.subject == f"Service {namespace}/{name}"]
    recent = [change for change in changes if change.service == f"{namespace}/{name}"][-_MOST_CHANGES:]
    sections = (
        _facts(report),
        _section("Addresses", ("ADDRESS", "KIND", "POOL", "PATH", "STATE"), map(_frontend, report.frontends)),
        _section("Paths not taken", (), ((reason,) for reason in _path_reasons(report))),
        *map(_pool, report.pools),
        _section("Problems", (), ((str(problem),) for problem in wrong)),
        _section(
            "Recent changes",
            ("AGE", "CHANGE"),
            ((age(change.time, now), change.message) for change in recent),
        ),
    )
    return "".join(sections)


def _facts(report: ServiceReport) -> str:
    service, spec = report.service, report.service.spec
    facts = {
        "Name": service.metadata.name,
        "Namespace": service.metadata.namespace,
        "Created": service.metadata.creation_timestamp,
        "Type": spec.type,
        "Selector": selector(service),
        "IP": ", ".join(spec.cluster_ips),
        "External IPs": ", ".join(spec.external_ips),
        "Ports": ", ".join(f"{port.port}/{port.protocol}" for port in spec.ports),
        "Session Affinity": _affinity(report),
        "Scheduler": ", ".join(dict.fromkeys(pool.scheduler for pool in report.pools)),
        "State": state_of(report),
    }
    width = max(map(len, facts)) + 3
    return "".join(f"{f'{name}:'.ljust(width)}{plain(text)}\n" for name, text in facts.items() if text)


def _affinity(report: ServiceReport) -> str:
    seconds = {pool.affinity_seconds for pool in report.pools}
    kind = report.service.spec.session_affinity or "None"
    return f"{kind}, {max(seconds)} s" if kind == "ClientIP" and seconds else kind


def _frontend(frontend: FrontendReport) -> Sequence[str]:
    place = f"{endpoint_text(frontend.address, frontend.port)}/{frontend.protocol}"
    state = frontend.fault or ("listening" if frontend.listening else "not listening")
    return place, frontend.kind, frontend.pool, ",".join(frontend.paths), state


def _path_reasons(report: ServiceReport) -> tuple[str, ...]:
    """Each reason once, in the order of the addresses."""
    return tuple(dict.fromkeys(reason for each in report.frontends for reason in each.path_reasons))


def _pool(pool: PoolReport) -> str:
    header = ("ENDPOINT", "POD", "WEIGHT", "ACTIVE", "INACTIVE", "OPENED", "IN", "OUT", "STATE")
    rows = (
        (
            endpoint_text(each.address, each.port),
            each.pod or "<none>",
            str(each.weight),
            str(each.active),
            str(each.inactive),
            str(each.opened),
            human_bytes(each.received),
            human_bytes(each.sent),
            endpoint_state(each),
        )
        for each in pool.endpoints
    )
    title = plain(f"Endpoints of {port_text(pool.port_name, pool.protocol)} ({pool.key}, {pool.scheduler})")
    return _section(title, header, rows, empty=True)


def _section(title: str, header: Sequence[str], rows: Iterable[Sequence[str]], empty: bool = False) -> str:
    """A heading and a table below it; nothing at all where there are no rows, unless `empty` shows that."""
    found = list(rows)
    if not found:
        return f"{title}:   <none>\n" if empty else ""
    if not header:
        return f"{title}:\n" + "".join(f"{_INDENT}{plain(' '.join(row))}\n" for row in found)
    return f"{title}:\n" + "".join(f"{_INDENT}{line}\n" for line in render_table(header, found).splitlines())
