"""Where names are answered, as the configuration asks for it."""

import pytest

from proxy.configuration.client_connection import ClientConnection
from proxy.configuration.config import Configuration
from proxy.dns.name_places import dns_address, name_places
from proxy.dns.settings import DNSSettings

FIXED = DNSSettings(bind_address=("127.0.0.1", 5353))


@pytest.mark.parametrize(
    ("configuration", "places"),
    [
        (Configuration(), ((("127.96.0.10", 53), ("127.96.0.10", 10053)),)),
        (
            Configuration(service_cluster_ip_range=("10.96.0.0/12", "fd00:96::/112")),
            (
                (("10.96.0.10", 53), ("10.96.0.10", 10053)),
                (("fd00:96::a", 53), ("fd00:96::a", 10053)),
            ),
        ),
        (Configuration(service_cluster_ip_range=("10.0.0.0/29",)), ()),
        (Configuration(in_cluster=True), ()),
        (Configuration(client_connection=ClientConnection(kubeconfig="/k")), ()),
        (Configuration(dns=DNSSettings(bind_address="off")), ()),
        (Configuration(dns=FIXED), ((("127.0.0.1", 5353),),)),
        (Configuration(dns=FIXED, in_cluster=True), ((("127.0.0.1", 5353),),)),
    ],
)
def test_names_are_served_where_there_is_no_cluster_or_where_one_says_so(
    configuration: Configuration, places: object
) -> None:
    assert name_places(configuration) == places


@pytest.mark.parametrize(
    ("cidr", "address"), [("127.96.0.0/16", "127.96.0.10"), ("10.0.0.0/28", "10.0.0.10"), ("10.0.0.0/29", "")]
)
def test_the_tenth_address_is_the_clusters_dns(cidr: str, address: str) -> None:
    assert dns_address(cidr) == address
