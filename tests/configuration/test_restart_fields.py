"""Every setting takes effect with a reload, or says that it does not."""

from msgspec.structs import fields, replace

from proxy.configuration.config import Configuration
from proxy.configuration.restart_fields import RESTART_FIELDS, awaiting_restart

LIVE = {
    "bind_address",
    "connect_timeout",
    "grace",
    "hostname_override",
    "metrics_per_endpoint",
    "mode",
    "node_port_addresses",
    "scheduler",
    "service_proxy_name",
    "tcp_idle_timeout",
    "udp_idle_timeout",
}


def test_every_setting_is_one_or_the_other() -> None:
    assert LIVE | set(RESTART_FIELDS) == {field.name for field in fields(Configuration)}
    assert LIVE.isdisjoint(RESTART_FIELDS)


def test_what_differs_and_is_read_once_waits() -> None:
    before = Configuration()
    assert awaiting_restart(before, before) == ()
    assert awaiting_restart(before, replace(before, workers=9, scheduler="lc", udp_flows=1)) == ("udp_flows", "workers")
