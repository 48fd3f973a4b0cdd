"""Reports: what the running proxy holds, in the form that the admin API, `get` and tests share.

Invariant: computed from live state at the moment of asking, never from remembered intent.
"""

from datetime import datetime

import msgspec

from proxy.model.service import Service


class FrontendReport(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One address of a Service; `fault` says why it does not listen, and is empty if it does or need not.

    `paths` are the ways of its packets: the one that clients of this machine take first, the one for everybody else
    last. `path_reasons` says for each path that does not serve it why not."""

    protocol: str
    address: str
    port: int
    kind: str
    pool: str
    listening: bool
    fault: str = ""
    paths: tuple[str, ...] = ("relay",)
    path_reasons: tuple[str, ...] = ()


class EndpointReport(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One endpoint of a pool with its live counts.

    `opened` are the flows that it was chosen for, `received` and `sent` the bytes from and to clients, all since this
    endpoint joined the pool.
    """

    address: str
    port: int
    pod: str
    weight: int
    active: int
    inactive: int
    failing: bool
    opened: int = 0
    received: int = 0
    sent: int = 0


class PoolReport(msgspec.Struct, frozen=True, rename="camel"):
    """The endpoints of one Service port in one family; `affinity_seconds` 0 is no affinity."""

    key: str
    port_name: str
    protocol: str
    scheduler: str
    affinity_seconds: int
    endpoints: tuple[EndpointReport, ...]


class ServiceReport(msgspec.Struct, frozen=True, rename="camel"):
    """One Service; `notes` say why it, or a part of it, has no listener, `failures` which ports have endpoints that all
    refuse their clients."""

    service: Service
    frontends: tuple[FrontendReport, ...]
    pools: tuple[PoolReport, ...]
    notes: tuple[str, ...]
    failures: tuple[str, ...] = ()


class WorkerReport(msgspec.Struct, frozen=True, rename="camel"):
    """One data plane. `state` is running, starting or ended; `restarts` counts those after it died. Of file descriptors
    it holds `descriptors` and may hold `descriptor_capacity`; of bytes for slow readers it holds `buffered_bytes` and
    may hold `buffer_capacity`. It runs as `user` with these `capabilities`."""

    index: int
    pid: int
    state: str
    restarts: int
    tcp_connections: int
    udp_flows: int
    descriptors: int = 0
    descriptor_capacity: int = 0
    buffered_bytes: int = 0
    buffer_capacity: int = 0
    user: str = ""
    capabilities: tuple[str, ...] = ()


class WorkerUsage(msgspec.Struct, frozen=True):
    """What the process of one data plane has used: processor time in seconds, resident memory in bytes."""

    index: int
    cpu_seconds: float
    memory_bytes: int


class WorkerLag(msgspec.Struct, frozen=True):
    """How late the ticks of one data plane came: how many by LAG_BOUNDS, and all together in seconds."""

    index: int
    counts: tuple[int, ...]
    seconds: float


class ProxyStatistics(msgspec.Struct, frozen=True):
    """Counts of this moment, and of everything since the start where the name says total.

    `known_state_of` is the time (RFC 3339) of the last known state that serves while its origin is away, or empty.
    `dropped_*_lines_total` are lines that were lost because nobody took them, of the log and of the access log.
    `no_local_endpoints_*` are Service ports with policy Local whose endpoints are all on other nodes.
    `failing_services` have a port whose endpoints all refuse their clients.
    """

    services: int
    frontends: int
    unbound_frontends: int
    problems: int
    known_state_of: str
    tcp_connections: int
    udp_flows: int
    affinity_entries: int
    affinity_hits_total: int
    affinity_misses_total: int
    affinity_evictions_total: int
    affinity_expirations_total: int
    dropped_log_lines_total: int = 0
    dropped_access_log_lines_total: int = 0
    no_local_endpoints_internal: int = 0
    no_local_endpoints_external: int = 0
    failing_services: int = 0


class FamilyHealth(msgspec.Struct, frozen=True, rename="camel"):
    """How one address family keeps up."""

    last_updated: datetime
    healthy: bool


class HealthReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """kube-proxy's health answer (pkg/proxy/healthcheck/proxy_health.go). `node_eligible` is None where it is not
    asked for, as in /livez."""

    last_updated: datetime
    current_time: datetime
    node_eligible: bool | None = None
    healthy: bool
    status: dict[str, FamilyHealth]
