"""Settings: every part of the configuration that the plan and the cluster need reaches them."""

from proxy.configuration.config import Configuration
from proxy.configuration.settings import cluster_settings, own_listeners, plan_settings
from proxy.dns.settings import DNSSettings
from proxy.plan.local_addresses import LocalAddresses
from proxy.plan.settings import PlanSettings
from proxy.schedulers import registry

_CONFIGURATION = Configuration(
    scheduler="lc",
    service_cluster_ip_range=("10.0.0.0/24",),
    node_port_range=(31000, 31001),
    service_proxy_name="mine",
    connect_timeout=1.0,
    tcp_idle_timeout=2.0,
    udp_idle_timeout=3.0,
)


def test_the_cluster_gets_its_ranges_and_the_node() -> None:
    settings = cluster_settings(_CONFIGURATION, "node-1")
    assert (settings.service_ranges, settings.node_port_range, settings.node_name) == (
        ("10.0.0.0/24",),
        (31000, 31001),
        "node-1",
    )


def test_the_plan_gets_its_defaults_and_every_scheduler() -> None:
    assert plan_settings(_CONFIGURATION, "node-1", ["127.0.0.1"], ["192.0.2.1"]) == PlanSettings(
        node_name="node-1",
        scheduler="lc",
        schedulers=registry.names(),
        node_port_addresses=("127.0.0.1",),
        proxy_name="mine",
        connect_timeout=1.0,
        tcp_idle_timeout=2.0,
        udp_idle_timeout=3.0,
        local_addresses=LocalAddresses(frozenset(["192.0.2.1"]), ("10.0.0.0/24",)),
        own_listeners=own_listeners(_CONFIGURATION),
    )


def texts(configuration: Configuration) -> list[str]:
    return [
        f"{each.what} {each.key.address}:{each.key.port}/{each.key.protocol}" for each in own_listeners(configuration)
    ]


def test_health_metrics_api_and_dns_are_named() -> None:
    found = texts(Configuration(standalone=True, dns=DNSSettings(bind_address=("127.0.0.1", 5300))))
    assert found == [
        "health address 0.0.0.0:10256/TCP",
        "metrics address 127.0.0.1:10249/TCP",
        "Kubernetes API 127.0.0.1:6443/TCP",
        "DNS address 127.0.0.1:5300/UDP",
        "DNS address 127.0.0.1:5300/TCP",
    ]


def test_what_is_not_served_and_a_port_that_is_not_known_yet_are_left_out() -> None:
    found = texts(Configuration(metrics_bind_address=("127.0.0.1", 0), dns=DNSSettings(bind_address="off")))
    assert found == ["health address 0.0.0.0:10256/TCP"]
