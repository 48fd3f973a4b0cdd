"""What the plan needs to know besides objects.

Invariant: immutable for the life of a plan; a change of settings is a new plan.
"""

import msgspec

from proxy.plan.local_addresses import LocalAddresses
from proxy.plan.own_places import OwnListener


class PlanSettings(msgspec.Struct, frozen=True):
    """`node_port_addresses` holds one address per socket to open for a node port ("0.0.0.0" and "::" for all of a
    family). `proxy_name` is the value of service.kubernetes.io/service-proxy-name that this proxy answers to; empty
    means it serves the Services without that label. `schedulers` are the names that a Service may ask for. Timeouts are
    seconds, 0 for no limit. `local_addresses` are this machine's; at `own_listeners` the proxy answers for itself.
    `external_ip_ranges` are CIDRs of the external and load balancer addresses that may be served, empty for all."""

    node_name: str = ""
    scheduler: str = "rr"
    schedulers: tuple[str, ...] = ("rr",)
    node_port_addresses: tuple[str, ...] = ("0.0.0.0", "::")
    proxy_name: str = ""
    connect_timeout: float = 5.0
    tcp_idle_timeout: float = 0.0
    udp_idle_timeout: float = 60.0
    local_addresses: LocalAddresses = LocalAddresses()
    own_listeners: tuple[OwnListener, ...] = ()
    external_ip_ranges: tuple[str, ...] = ()
