"""Columns of workers.

Invariant: one row for each data plane, whatever its state.
"""

from proxy.client.columns import GONE, Column
from proxy.reports.human_bytes import human_bytes
from proxy.reports.report import WorkerReport


def _buffered(worker: WorkerReport) -> str:
    return f"{human_bytes(worker.buffered_bytes)}/{human_bytes(worker.buffer_capacity)}"


WORKER_COLUMNS = (
    Column("WORKER", lambda each: str(each.index), lambda each: each.index),
    Column("PID", lambda each: str(each.pid), lambda each: each.pid),
    Column("STATE", lambda each: each.state, gone=GONE),
    Column("RESTARTS", lambda each: str(each.restarts), lambda each: each.restarts),
    Column("CONNECTIONS", lambda each: str(each.tcp_connections), lambda each: each.tcp_connections),
    Column("FLOWS", lambda each: str(each.udp_flows), lambda each: each.udp_flows),
    Column("BUFFERED", _buffered, lambda each: each.buffered_bytes),
    Column("USER", lambda each: each.user or "<none>", wide=True),
    Column("CAPABILITIES", lambda each: ",".join(each.capabilities) or "<none>", wide=True),
)
