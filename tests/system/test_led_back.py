"""Services that lead to themselves, to each other or to the proxy's own addresses are refused and told."""

import pytest

from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import ask, is_refused, is_udp_refused
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import HEALTH_PORT, METRICS_PORT, StartSvcproxy

HERE = "127.0.0.1"
WORKERS = pytest.mark.parametrize("workers", [1, 2])


def looping(name: str, cluster_ip: str, to: str, at: int, protocol: str = "TCP", node_port: int = 0) -> list[Manifest]:
    """A Service without selector on port 80, with one endpoint."""
    ports = port(80, protocol=protocol, nodePort=node_port) if node_port else port(80, protocol=protocol)
    kind = {"type": "NodePort"} if node_port else {}
    endpoints = endpoint_slice(name, [to], {"port": at, "protocol": protocol})
    return [service(name, ports, clusterIP=cluster_ip, **kind), endpoints]


@WORKERS
def test_a_service_that_leads_to_itself_refuses_at_once(svcproxy: StartSvcproxy, places: Places, workers: int) -> None:
    own, ported, datagrams = places.cluster_ip(), places.cluster_ip(), places.cluster_ip()
    node_port = places.node_port()
    proxy = svcproxy(
        [
            *looping("own", own, own, 80),
            *looping("ported", ported, HERE, node_port, node_port=node_port),
            *looping("datagrams", datagrams, datagrams, 80, "UDP"),
        ],
        configuration={"workers": workers},
    )
    assert is_refused(own, 80)
    assert is_refused(ported, 80)
    assert is_refused(HERE, node_port)
    assert is_udp_refused(datagrams, 80)
    assert "leads back to this proxy" in str(proxy.service("own")["notes"])


def test_two_services_that_lead_to_each_other_refuse_until_one_has_a_real_endpoint(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (backend,) = echo_backends("a")
    one, other = places.cluster_ip(), places.cluster_ip()
    proxy = svcproxy([*looping("one", one, other, 80), *looping("other", other, one, 80)])
    assert is_refused(one, 80)
    assert is_refused(other, 80)
    proxy.manifests.put(endpoint_slice("other", [backend.address], {"port": backend.port}))
    eventually(lambda: not is_refused(other, 80), "the endpoint of the other")
    assert ask(other, 80) == "a"
    assert is_refused(one, 80)


@pytest.mark.parametrize("own_port", [METRICS_PORT, HEALTH_PORT])
def test_no_service_leads_to_the_proxys_own_addresses(svcproxy: StartSvcproxy, places: Places, own_port: int) -> None:
    cluster_ip = places.cluster_ip()
    proxy = svcproxy([service("inside", port(80), clusterIP=cluster_ip)])
    proxy.manifests.put(endpoint_slice("inside", [proxy.status_address], {"port": own_port}))
    eventually(lambda: "this proxy's own" in proxy.get("/api/v1/problems")[1], "the problem")
    assert is_refused(cluster_ip, 80)
