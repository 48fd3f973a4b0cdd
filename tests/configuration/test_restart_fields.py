"""Every setting takes effect with a reload, or says that it does not."""

import pytest
from msgspec.structs import fields, replace

from proxy.configuration.client_connection import ClientConnection
from proxy.configuration.config import Configuration
from proxy.configuration.restart_fields import CLUSTER_RESTART_FIELDS, RESTART_FIELDS, awaiting_restart, in_force

LIVE = {
    "bind_address",
    "connect_timeout",
    "grace",
    "metrics_per_endpoint",
    "node_port_addresses",
    "scheduler",
    "service_proxy_name",
    "tcp_idle_timeout",
    "udp_idle_timeout",
}


def test_every_setting_is_one_or_the_other() -> None:
    assert LIVE | set(RESTART_FIELDS) == {field.name for field in fields(Configuration)}
    assert LIVE.isdisjoint(RESTART_FIELDS)
    assert LIVE.issuperset(CLUSTER_RESTART_FIELDS)


def test_what_differs_and_is_read_once_waits() -> None:
    before = Configuration()
    assert awaiting_restart(before, before) == ()
    assert awaiting_restart(before, replace(before, workers=9, scheduler="lc", udp_flows=1)) == ("workers", "udpFlows")


@pytest.mark.parametrize(
    ("running", "name"),
    [
        (Configuration(), "other"),
        (Configuration(in_cluster=True), ""),
        (Configuration(client_connection=ClientConnection("kubeconfig")), ""),
    ],
    ids=["manifests", "in a cluster", "kubeconfig"],
)
def test_what_waits_for_a_restart_is_not_said_to_be_in_force(running: Configuration, name: str) -> None:
    reread = replace(running, workers=9, hostname_override="other", scheduler="lc", service_proxy_name="other")
    holds = in_force(running, reread)
    assert holds == replace(running, scheduler="lc", service_proxy_name=name)
    waiting = {"workers", "hostnameOverride"} | ({"serviceProxyName"} if not name else set())
    # It waits as long as it is not in force, however often the file is read.
    assert set(awaiting_restart(holds, reread)) == waiting
