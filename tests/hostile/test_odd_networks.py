"""Network namespaces that lack something, or take too much: the rest is served, and what is missing is told."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.hostile.checked_services import SETTINGS, CheckedServices
from tests.hostile.network import Network
from tests.system.harness.manifests import endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import HEALTH_PORT, METRICS_PORT, StartSvcproxy, Svcproxy

HERE = "127.0.0.1"
ROOT = Path(__file__).parents[2]
WITHOUT_IPV6 = Path(__file__).parent / "without_ipv6"
FLOOD = 4000


def ip(*lines: str) -> None:
    """Run these lines of ip(8)."""
    text = "\n".join(lines)
    subprocess.run(["ip", "-batch", "-"], input=text, text=True, check=True, timeout=20, capture_output=True)


def workers_of(proxy: Svcproxy) -> list[int]:
    return [worker.pid for worker in proxy.workers()]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_namespace_without_ipv6(
    network: Network, svcproxy: StartSvcproxy, checked_services: CheckedServices, workers: int
) -> None:
    network.sysctl("ipv6.conf.all.disable_ipv6", "1")
    proxy = svcproxy(checked_services.manifests, configuration={**SETTINGS, "workers": workers})
    checked_services.begin(proxy)
    checked_services.use(HERE)
    assert proxy.get("/readyz", HEALTH_PORT)[0] == 200
    checked_services.settle()


@pytest.mark.parametrize("workers", [0, 2])
def test_a_kernel_without_ipv6(
    network: Network, svcproxy: StartSvcproxy, checked_services: CheckedServices, workers: int
) -> None:
    ranges = ["10.96.0.0/16", "fd00:96::/112"]
    proxy = svcproxy(
        [*checked_services.manifests, service("dual", port(80), ipFamilyPolicy="RequireDualStack")],
        configuration={**SETTINGS, "workers": workers, "serviceClusterIPRange": ranges},
        under=("env", f"PYTHONPATH={WITHOUT_IPV6}{os.pathsep}{ROOT}"),
    )
    checked_services.begin(proxy)
    checked_services.use(HERE)
    faults = {frontend["address"]: frontend["fault"] for frontend in proxy.service("dual")["frontends"]}
    assert sorted(":" in address for address in faults) == [False, True]
    for address, fault in faults.items():
        assert ("Address family not supported" in fault) is (":" in address)
    assert proxy.get("/readyz", HEALTH_PORT)[0] == 200
    checked_services.settle()


def test_a_namespace_without_loopback(network: Network, svcproxy: StartSvcproxy, places: Places) -> None:
    far = network.far_host()
    services = CheckedServices(places, far.address)
    ip("link set lo down")
    settings = {
        **SETTINGS,
        "metricsBindAddress": f"{far.near_address}:{METRICS_PORT}",
        "healthzBindAddress": f"{far.near_address}:{HEALTH_PORT}",
        "serviceClusterIPRange": ["10.96.0.0/16"],
        "dns": {"bindAddress": "off"},
    }
    proxy = svcproxy(services.manifests, configuration=settings)
    proxy.status_address = far.near_address
    with far.entered(), services.backends():
        services.begin(proxy)
        services.use(far.near_address)
        assert proxy.get("/readyz", HEALTH_PORT)[0] == 200
        services.settle()


def test_a_service_range_is_made_local_where_anybody_may_bind_any_address(
    network: Network, svcproxy: StartSvcproxy, checked_services: CheckedServices
) -> None:
    """With ip_nonlocal_bind a bind proves nothing: the addresses must be local for packets as well."""
    network.sysctl("ipv4.ip_nonlocal_bind", "1")
    streams_at, datagrams_at = "10.97.0.10", "10.97.0.11"
    settings = {**SETTINGS, "serviceClusterIPRange": ["10.97.0.0/16"]}
    manifests = [
        service("streams", port(checked_services.stream_port), clusterIP=streams_at),
        endpoint_slice("streams", [checked_services.backend], {"port": 7007}),
        service("datagrams", port(checked_services.datagram_port, protocol="UDP"), clusterIP=datagrams_at),
        endpoint_slice("datagrams", [checked_services.backend], {"port": 7007, "protocol": "UDP"}),
    ]
    proxy = svcproxy(manifests, configuration=settings)
    checked_services.begin(proxy)
    checked_services.use(streams_at, datagrams_at)
    checked_services.settle()


def test_an_address_that_comes_in_a_flood_of_others_is_served(
    network: Network, svcproxy: StartSvcproxy, checked_services: CheckedServices
) -> None:
    """More than the kernel can announce: recvmsg says ENOBUFS, and what was lost is looked up."""
    settings = {**SETTINGS, "nodePortAddresses": ["10.88.0.0/16"]}
    proxy = svcproxy(checked_services.manifests, configuration=settings)
    checked_services.begin(proxy)
    before = workers_of(proxy)
    proxy.send(signal.SIGSTOP)
    flood = [f"10.89.{number // 250}.{number % 250 + 1}/32 dev lo" for number in range(FLOOD)]
    ip(*(f"addr add {each}" for each in flood), "addr add 10.88.0.1/32 dev lo", *(f"addr del {each}" for each in flood))
    assert lost_announcements(proxy)
    proxy.send(signal.SIGCONT)
    proxy.wait_until_listening("UDP", "10.88.0.1", checked_services.datagram_port)
    proxy.services()
    checked_services.use("10.88.0.1")
    assert workers_of(proxy) == before


def lost_announcements(proxy: Svcproxy) -> int:
    """How many a netlink socket of the process had no room for."""
    lines = [line.split() for line in Path(f"/proc/{proxy.pid}/net/netlink").read_text().splitlines()[1:]]
    return sum(int(line[8]) for line in lines)
