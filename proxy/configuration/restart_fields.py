"""Which settings are read once, at the start: another value in a reread configuration waits for the next one.

Imports the configuration. Pure. Invariant: what is not named here takes effect with a reload.
"""

from proxy.configuration.config import Configuration

RESTART_FIELDS = (
    "admin_token_file",
    "affinity_entries",
    "access_log",
    "access_log_sample",
    "api_bind_address",
    "capture",
    "client_connection",
    "dns",
    "healthz_bind_address",
    "in_cluster",
    "log_format",
    "log_level",
    "manifests",
    "metrics_bind_address",
    "namespace",
    "node_port_range",
    "service_cluster_ip_range",
    "standalone",
    "state_directory",
    "udp_flows",
    "worker_timeout",
    "workers",
)
"""Fields of Configuration."""


def awaiting_restart(before: Configuration, now: Configuration) -> tuple[str, ...]:
    """The fields that differ and take a restart."""
    return tuple(name for name in RESTART_FIELDS if getattr(before, name) != getattr(now, name))
