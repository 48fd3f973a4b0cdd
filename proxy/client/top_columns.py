"""Columns of `svcproxy top`.

Invariant: the columns that are not wide fit 80 characters with names of usual length.
"""

from proxy.client.columns import Column
from proxy.client.rate_meter import EndpointLine, ServiceLine
from proxy.client.service_columns import endpoint_text, port_text
from proxy.reports.human_bytes import human_bytes


def rate_text(rate: float) -> str:
    """A number a second: with one digit behind the point while that says something."""
    return f"{rate:.1f}" if 0 < rate < 99.95 else f"{rate:.0f}"


def _ready(line: ServiceLine) -> int:
    return len({(each.endpoint.address, each.endpoint.port) for each in line.endpoints if each.endpoint.weight > 0})


def _state(line: EndpointLine) -> str:
    if line.endpoint.weight <= 0:
        return "draining"
    return "refusing" if line.counts.failing else "ready"


SERVICES = (
    Column("SERVICE", lambda line: line.name.removeprefix("default/")),
    Column("CONN/S", lambda line: rate_text(line.opened_rate), lambda line: line.opened_rate),
    Column("ACTIVE", lambda line: str(line.active), lambda line: line.active),
    Column("IN/S", lambda line: human_bytes(line.received_rate), lambda line: line.received_rate),
    Column("OUT/S", lambda line: human_bytes(line.sent_rate), lambda line: line.sent_rate),
    Column("FAIL/S", lambda line: rate_text(line.failed_rate), lambda line: line.failed_rate),
    Column("READY", lambda line: str(_ready(line)), _ready),
    Column("STATE", lambda line: line.service.level),
)

ENDPOINTS = (
    Column("ENDPOINT", lambda line: endpoint_text(line.endpoint.address, line.endpoint.port)),
    Column("CONN/S", lambda line: rate_text(line.opened_rate), lambda line: line.opened_rate),
    Column("ACTIVE", lambda line: str(line.counts.active), lambda line: line.counts.active),
    Column("IN/S", lambda line: human_bytes(line.received_rate), lambda line: line.received_rate),
    Column("OUT/S", lambda line: human_bytes(line.sent_rate), lambda line: line.sent_rate),
    Column("FAIL/S", lambda line: rate_text(line.failed_rate), lambda line: line.failed_rate),
    Column("WEIGHT", lambda line: str(line.endpoint.weight), lambda line: line.endpoint.weight),
    Column("STATE", _state),
    Column("POD", lambda line: line.endpoint.pod or "<none>"),
    Column("PORT", lambda line: port_text(line.pool.port_name, line.pool.protocol), wide=True),
)
