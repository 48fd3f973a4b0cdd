"""Which settings are read once, at the start: another value in a reread configuration waits for the next start.

Pure. Invariant: what is not named here takes effect with a reload.
"""

from msgspec.structs import fields, replace

from proxy.configuration.config import Configuration

RESTART_FIELDS = (
    "admin_socket",
    "admin_token_file",
    "affinity_entries",
    "access_log",
    "access_log_sample",
    "api_bind_address",
    "buffer_bytes",
    "capture",
    "client_connection",
    "dns",
    "external_ip_ranges",
    "healthz_bind_address",
    "hostname_override",
    "in_cluster",
    "keep_rules",
    "log_format",
    "log_level",
    "manifest_bytes",
    "manifests",
    "metrics_bind_address",
    "mode",
    "namespace",
    "node_port_range",
    "service_cluster_ip_range",
    "services",
    "shortcut",
    "shortcut_pins",
    "standalone",
    "state_directory",
    "tcp_half_closed_timeout",
    "tcp_keep_alive",
    "udp_flows",
    "worker_timeout",
    "worker_user",
    "workers",
)
"""Fields of Configuration."""

CLUSTER_RESTART_FIELDS = ("service_proxy_name",)
"""Those that are read once where a cluster is followed: its watches ask for the Services of this name alone."""


def awaiting_restart(running: Configuration, reread: Configuration) -> tuple[str, ...]:
    """The keys of the file whose values differ and take a restart."""
    differing = {name for name in _read_once(running) if getattr(running, name) != getattr(reread, name)}
    return tuple(field.encode_name for field in fields(Configuration) if field.name in differing)


def in_force(running: Configuration, reread: Configuration) -> Configuration:
    """What holds after a reload: the reread values, but for those that take a restart."""
    return replace(reread, **{name: getattr(running, name) for name in _read_once(running)})


def _read_once(running: Configuration) -> tuple[str, ...]:
    return RESTART_FIELDS + (CLUSTER_RESTART_FIELDS if running.follows_cluster else ())
