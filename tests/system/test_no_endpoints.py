"""Services without a usable endpoint: refused at once, or silence where another node may have one."""

import select
import socket
from collections.abc import Mapping

import pytest

from tests.system.harness.backends import Backend, StartBackends
from tests.system.harness.clients import TIMEOUT, Conversation, ask, ask_udp, is_refused, is_udp_refused
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, endpoint_slice, pod, port, service
from tests.system.harness.outside import HERE as NEAR
from tests.system.harness.outside import Outside
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy

HERE = "127.0.0.1"
NODE = {"hostnameOverride": "this-node"}
SILENCE = 0.5
"""Seconds without any answer; a refusal on loopback comes at once."""


def web(places: Places) -> tuple[Manifest, str, int]:
    cluster_ip, node_port = places.cluster_ip(), places.node_port()
    ports = port(80, "echo", nodePort=node_port)
    return service("web", ports, type="NodePort", clusterIP=cluster_ip, selector={"app": "web"}), cluster_ip, node_port


def test_tcp_is_refused_at_connect_until_the_first_endpoint_and_after_the_last(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    manifest, cluster_ip, node_port = web(places)
    proxy = svcproxy([manifest])
    assert is_refused(HERE, node_port)
    assert is_refused(cluster_ip, 80)
    first = pod("a", a.address, {"echo": a.port}, {"app": "web"})
    proxy.manifests.put(first)
    eventually(lambda: not is_refused(HERE, node_port) and not is_refused(cluster_ip, 80), "the first endpoint")
    assert ask(HERE, node_port) == ask(cluster_ip, 80) == "a"
    with Conversation(cluster_ip, 80) as held:
        proxy.manifests.remove(first)
        eventually(lambda: is_refused(cluster_ip, 80) and is_refused(HERE, node_port), "the last endpoint gone")
        assert held.say(b"still") == b"still"
    proxy.manifests.put(first)
    eventually(lambda: not is_refused(HERE, node_port), "the endpoint again")
    assert ask(HERE, node_port) == "a"


def test_a_pod_that_is_not_ready_is_no_endpoint(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    manifest, cluster_ip, _ = web(places)
    proxy = svcproxy([manifest, pod("a", a.address, {"echo": a.port}, {"app": "web"}, ready=False)])
    assert is_refused(cluster_ip, 80)
    proxy.manifests.put(pod("a", a.address, {"echo": a.port}, {"app": "web"}))
    eventually(lambda: not is_refused(cluster_ip, 80), "readiness")


def test_udp_is_refused_by_icmp_until_the_first_endpoint_and_after_the_last(
    svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends
) -> None:
    (a,) = udp_backends("a")
    cluster_ip, node_port = places.cluster_ip(), places.node_port()
    ports = port(53, protocol="UDP", nodePort=node_port)
    proxy = svcproxy([service("dns", ports, type="NodePort", clusterIP=cluster_ip)])
    assert is_udp_refused(HERE, node_port)
    assert is_udp_refused(cluster_ip, 53)
    endpoints = endpoint_slice("dns", [a.address], {"port": a.port, "protocol": "UDP"})
    proxy.manifests.put(endpoints)
    eventually(lambda: not is_udp_refused(HERE, node_port) and not is_udp_refused(cluster_ip, 53), "the first endpoint")
    assert ask_udp(HERE, node_port) == ask_udp(cluster_ip, 53) == "a"
    proxy.manifests.remove(endpoints)
    eventually(
        lambda: is_udp_refused(HERE, node_port) and is_udp_refused(cluster_ip, 53), "the end of the last endpoint"
    )


def on(node: str, backend: Backend, protocol: str = "TCP") -> Manifest:
    endpoint: Mapping[str, object] = {"addresses": [backend.address], "nodeName": node}
    return endpoint_slice("web", [endpoint], {"port": backend.port, "protocol": protocol}, suffix=node)


def local_service(cluster_ip: str, node_port: int, protocol: str = "TCP") -> Manifest:
    ports = port(80, protocol=protocol, nodePort=node_port)
    return service("web", ports, type="NodePort", clusterIP=cluster_ip, externalTrafficPolicy="Local")


@pytest.mark.requires("ip")
def test_policy_local_without_a_local_endpoint_is_silent_and_a_retry_meets_the_first(
    outside: Outside, svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    away, near = echo_backends("away", "near")
    cluster_ip, node_port = places.cluster_ip(), places.node_port()
    proxy = svcproxy([local_service(cluster_ip, node_port), on("other-node", away)], configuration=NODE)
    assert ask(cluster_ip, 80) == "away"
    with outside.open(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.setblocking(False)
        client.connect_ex((NEAR, node_port))
        assert select.select([], [client], [], SILENCE)[1] == []
        proxy.manifests.put(on("this-node", near))
        assert select.select([], [client], [], TIMEOUT)[1] == [client]
        client.settimeout(TIMEOUT)
        assert client.recv(100) == b"near\n"
    assert {ask(cluster_ip, 80) for _ in range(4)} == {"near", "away"}


@pytest.mark.requires("ip")
def test_policy_local_is_silent_for_udp(
    outside: Outside, svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends
) -> None:
    away, near = udp_backends("away", "near")
    cluster_ip, node_port = places.cluster_ip(), places.node_port()
    proxy = svcproxy([local_service(cluster_ip, node_port, "UDP"), on("other-node", away, "UDP")], configuration=NODE)
    assert ask_udp(cluster_ip, 80) == "away"
    with outside.open(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((NEAR, node_port))
        client.send(b"anybody?")
        assert select.select([client], [], [], SILENCE)[0] == []
        proxy.manifests.put(on("this-node", near, "UDP"))
        eventually(lambda: len(proxy.endpoints("web")) == 2, "the local endpoint")
        client.settimeout(TIMEOUT)
        client.send(b"hello")
        assert client.recv(100) == b"near:hello"


def test_policy_local_without_any_endpoint_refuses(svcproxy: StartSvcproxy, places: Places) -> None:
    node_port = places.node_port()
    svcproxy([local_service(places.cluster_ip(), node_port)], configuration=NODE)
    assert is_refused(HERE, node_port)
