"""Columns of workers.

Invariant: one row for each data plane, whatever its state.
"""

from proxy.client.columns import GONE, Column

WORKER_COLUMNS = (
    Column("WORKER", lambda each: str(each.index), lambda each: each.index),
    Column("PID", lambda each: str(each.pid), lambda each: each.pid),
    Column("STATE", lambda each: each.state, gone=GONE),
    Column("RESTARTS", lambda each: str(each.restarts), lambda each: each.restarts),
    Column("CONNECTIONS", lambda each: str(each.tcp_connections), lambda each: each.tcp_connections),
    Column("FLOWS", lambda each: str(each.udp_flows), lambda each: each.udp_flows),
    Column("USER", lambda each: each.user or "<none>", wide=True),
    Column("CAPABILITIES", lambda each: ",".join(each.capabilities) or "<none>", wide=True),
)
