"""Addresses that the machine gets and loses while the proxy runs, in a network namespace of the test's own."""

import socket
import subprocess
from functools import partial

import pytest

from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy

ADDRESSES = {"IPv4": "192.0.2.9", "IPv6": "2001:db8::9"}
BACKENDS = {"IPv4": "10.96.0.9", "IPv6": "fd00:96::73"}
RANGES = {"IPv4": "192.0.2.0/24", "IPv6": "2001:db8::/32"}


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=20)


def takes(address: str, node_port: int) -> bool:
    """Whether a client gets in."""
    try:
        socket.create_connection((address, node_port), 10).close()
    except OSError:
        return False
    return True


@pytest.mark.requires("ip")
def test_node_ports_follow_the_addresses_of_the_machine(
    network_namespace: None, svcproxy: StartSvcproxy, places: Places
) -> None:
    node_port = places.node_port()
    web = service(
        "web",
        port(80, nodePort=node_port),
        type="NodePort",
        ipFamilyPolicy="RequireDualStack",
    )
    configuration = {
        "nodePortAddresses": list(RANGES.values()),
        "serviceClusterIPRange": [places.service_range, "fd00:96::/112"],
    }
    slices = [
        endpoint_slice("web", [address], {"port": 9}, suffix=family.lower()) | {"addressType": family}
        for family, address in BACKENDS.items()
    ]
    proxy = svcproxy([web, *slices], configuration=configuration)

    def notes() -> list[str]:
        return [each for each in proxy.service("web")["notes"] if each.startswith("node ports")]

    def noted(family: str) -> bool:
        return any(family in note for note in notes())

    def problems() -> str:
        return proxy.get("/api/v1/problems")[1]

    assert all(map(noted, ADDRESSES))
    for family, cidr in RANGES.items():
        assert f"no {family} address of this machine is in {cidr}: node ports do not listen" in problems()
    for family, address in ADDRESSES.items():
        ip("address", "add", f"{address}/{128 if family == 'IPv6' else 32}", "dev", "lo")
        eventually(partial(takes, address, node_port), f"a node port on {address}")
    assert notes() == []
    assert "nodePortAddresses" not in problems()
    for family, address in ADDRESSES.items():
        ip("address", "delete", f"{address}/{128 if family == 'IPv6' else 32}", "dev", "lo")
        eventually(partial(noted, family), f"no node port on {address}")
        assert not takes(address, node_port)
