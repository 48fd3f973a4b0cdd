"""Columns of connections and affinity entries.

Invariant: IN is from the client, OUT to it, as in the access log.
"""

from proxy.client.columns import GONE, Column
from proxy.reports.flow_report import ConnectionReport
from proxy.reports.human_bytes import human_bytes
from proxy.reports.human_duration import human_duration


def _state(connection: ConnectionReport) -> str:
    """Open, or what it waits for: a TCP backend to accept, a UDP backend to reply."""
    if connection.connect_seconds >= 0:
        return "open"
    return "connecting" if connection.protocol == "TCP" else "unreplied"


CONNECTION_COLUMNS = (
    Column("NAMESPACE", lambda each: each.service.partition("/")[0]),
    Column("SERVICE", lambda each: each.service.partition("/")[2]),
    Column("PROTOCOL", lambda each: each.protocol),
    Column("CLIENT", lambda each: each.client),
    Column("FRONTEND", lambda each: each.frontend.rpartition("/")[0], wide=True),
    Column("ENDPOINT", lambda each: each.endpoint or "<none>"),
    Column("POD", lambda each: each.pod or "<none>"),
    Column("IN", lambda each: human_bytes(each.received), lambda each: each.received, passing=True),
    Column("OUT", lambda each: human_bytes(each.sent), lambda each: each.sent, passing=True),
    Column("AGE", lambda each: human_duration(each.seconds), lambda each: each.seconds, passing=True),
    Column("WORKER", lambda each: str(each.worker), lambda each: each.worker),
    Column("STATE", _state, gone=GONE),
)

AFFINITY_COLUMNS = (
    Column("NAMESPACE", lambda each: each.service.partition("/")[0]),
    Column("CLIENT", lambda each: each.client),
    Column("SERVICE", lambda each: each.service.partition("/")[2]),
    Column("PORT", lambda each: each.port),
    Column("ENDPOINT", lambda each: each.endpoint),
    Column("POD", lambda each: each.pod or "<none>"),
    Column(
        "LEFT", lambda each: human_duration(each.seconds_left), lambda each: each.seconds_left, passing=True, gone=GONE
    ),
    Column("WORKER", lambda each: str(each.worker), lambda each: each.worker),
)
