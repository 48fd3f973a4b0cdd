"""Where the proxy answers for itself, by its configuration."""

from proxy.configuration.config import Configuration
from proxy.configuration.own_listeners import own_listeners
from proxy.dns.settings import DNSSettings


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
