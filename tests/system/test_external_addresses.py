"""External and load balancer addresses that no interface has: served by the running program, and given back."""

import socket
import subprocess

import pytest

from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import ask
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy

pytestmark = pytest.mark.requires("ip")
ADDRESSES = ("192.0.2.77", "2001:db8:77::7")
RANGES = ["192.0.2.0/24", "2001:db8:77::/64"]


def is_local(address: str) -> bool:
    family = "-6" if ":" in address else "-4"
    command = ["ip", family, "route", "show", "table", "local"]
    return address in subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout


def with_addresses(made: Manifest, *addresses: str) -> Manifest:
    made["spec"]["externalIPs"] = list(addresses)
    return made


def test_each_is_local_while_a_service_has_it(
    network_namespace: None, svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (backend,) = echo_backends("a")
    web = service("web", port(7080), clusterIPs=[places.cluster_ip(), "fd00:96::7"], clusterIP="", type="ClusterIP")
    web["spec"].update(ipFamilyPolicy="RequireDualStack", ipFamilies=["IPv4", "IPv6"])
    web["spec"]["clusterIP"] = web["spec"]["clusterIPs"][0]
    slices = endpoint_slice("web", [backend.address], {"port": backend.port})
    ranges = [places.service_range, "fd00:96::/112"]
    settings = {"externalIPRanges": RANGES, "serviceClusterIPRange": ranges}
    proxy = svcproxy([with_addresses(web, *ADDRESSES), slices], configuration=settings)
    assert [is_local(address) for address in ADDRESSES] == [True, True]
    assert ask(ADDRESSES[0], 7080) == "a"
    with socket.socket(socket.AF_INET6) as client, pytest.raises(ConnectionRefusedError):
        # There is no IPv6 endpoint; what refuses is the proxy's own socket.
        client.connect((ADDRESSES[1], 7080))
    frontends = proxy.service("web")["frontends"]
    assert [each["listening"] for each in frontends if each["kind"] == "ExternalIP"] == [True, True]
    proxy.manifests.put(with_addresses(web, ADDRESSES[0]), slices)
    eventually(lambda: not is_local(ADDRESSES[1]), "the end of the route")
    assert ask(ADDRESSES[0], 7080) == "a"
    assert proxy.stop() == 0
    assert [is_local(address) for address in ADDRESSES] == [False, False]
