"""Capturing UDP by sk_lookup, in a network namespace of the test's own: needs BPF, NET_ADMIN and SYS_ADMIN."""

import signal
import socket
from contextlib import ExitStack

import pytest

from tests.system.harness.backends import Backend, StartBackends
from tests.system.harness.captured import DUAL, HERE, SILENCE, captured
from tests.system.harness.clients import ask_udp, is_udp_refused
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy

pytestmark = [pytest.mark.requires("ip"), pytest.mark.usefixtures("sklookup_permitted")]


def dns(cluster_ip: str, node_port: int, **spec: object) -> Manifest:
    ports = port(53, protocol="UDP", nodePort=node_port)
    return service("dns", ports, **({"type": "NodePort", "clusterIP": cluster_ip} | spec))


def udp_slice(*backends: Backend) -> Manifest:
    return endpoint_slice("dns", [each.address for each in backends], {"port": backends[0].port, "protocol": "UDP"})


def test_udp_is_answered_from_where_it_was_asked(
    svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends
) -> None:
    (a,) = udp_backends("a")
    cluster_ip, node_port = places.cluster_ip(), places.node_port()
    dns = service("dns", port(53, protocol="UDP", nodePort=node_port), type="NodePort", clusterIP=cluster_ip)
    captured(svcproxy, [dns, endpoint_slice("dns", [a.address], {"port": a.port, "protocol": "UDP"})])
    # A connected client takes no answer from elsewhere.
    assert ask_udp(cluster_ip, 53) == ask_udp(HERE, node_port) == ask_udp("127.0.0.77", node_port) == "a"


def test_udp_without_endpoints_is_refused_and_again_when_the_service_goes(
    svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends
) -> None:
    (a,) = udp_backends("a")
    cluster_ip, node_port = places.cluster_ip(), places.node_port()
    manifest = dns(cluster_ip, node_port)
    proxy = captured(svcproxy, [manifest])
    assert is_udp_refused(cluster_ip, 53)
    assert is_udp_refused(HERE, node_port)
    for _ in range(2):
        proxy.manifests.put(manifest)
        proxy.manifests.put(udp_slice(a))
        eventually(lambda: not is_udp_refused(cluster_ip, 53) and not is_udp_refused(HERE, node_port), "the endpoint")
        assert ask_udp(cluster_ip, 53) == ask_udp(HERE, node_port) == "a"
        proxy.manifests.remove(udp_slice(a))
        eventually(lambda: is_udp_refused(cluster_ip, 53) and is_udp_refused(HERE, node_port), "no endpoint")
        proxy.manifests.put(udp_slice(a))
        eventually(lambda: not is_udp_refused(cluster_ip, 53) and not is_udp_refused(HERE, node_port), "it again")
        proxy.manifests.remove(manifest)
        eventually(lambda: is_udp_refused(cluster_ip, 53) and is_udp_refused(HERE, node_port), "the Service gone")


def test_udp_in_both_families_and_on_two_frontends(
    svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends
) -> None:
    a, b = udp_backends("a", "b")
    first, second, node_port = places.cluster_ip(), places.cluster_ip(), places.node_port()
    ports = [port(54, protocol="UDP", name="b")]
    other = service("other", *ports, clusterIP=second)
    there = endpoint_slice("other", [b.address], {"port": b.port, "protocol": "UDP", "name": "b"})
    six = service("dns", port(53, protocol="UDP", nodePort=node_port), type="NodePort", clusterIP=first, **DUAL)
    six["spec"].pop("clusterIP")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as backend, ExitStack() as stack:
        backend.bind(("::1", 0))
        backend.settimeout(10)
        mine = endpoint_slice("dns", ["::1"], {"port": backend.getsockname()[1], "protocol": "UDP"}, suffix="ipv6")
        mine |= {"addressType": "IPv6"}
        ranges = [places.service_range, "fd00:96::/112"]
        proxy = captured(svcproxy, [six, mine, udp_slice(a), other, there], serviceClusterIPRange=ranges)
        addresses = proxy.service("dns")["service"]["spec"]["clusterIPs"]
        assert [ask_udp(addresses[0], 53), ask_udp(second, 54), ask_udp(HERE, node_port)] == ["a", "b", "a"]
        for place in ((addresses[1], 53), ("::1", node_port)):
            client = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
            client.settimeout(10)
            client.connect(place)
            for _ in range(2):
                client.send(b"hello")
                backend.sendto(b"answer", backend.recvfrom(64)[1])
                assert client.recv(64) == b"answer"


def test_udp_from_outside_the_source_ranges_meets_silence(
    svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends
) -> None:
    (a,) = udp_backends("a")
    inside, outside, balancer = places.address(), places.address(), places.address()
    ranged = service("dns", port(53, protocol="UDP"), type="LoadBalancer", loadBalancerSourceRanges=[f"{inside}/32"])
    captured(svcproxy, [ranged | {"status": {"loadBalancer": {"ingress": [{"ip": balancer}]}}}, udp_slice(a)])
    assert ask_udp(balancer, 53, source=inside) == "a"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((outside, 0))
        client.connect((balancer, 53))
        client.settimeout(SILENCE)
        client.send(b"hello")
        with pytest.raises(TimeoutError):
            client.recv(64)


def test_a_udp_client_sticks_to_its_endpoint_and_a_dead_worker_comes_back(
    svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends
) -> None:
    backends = udp_backends("a", "b", "c")
    cluster_ip, node_port = places.cluster_ip(), places.node_port()
    manifest = dns(cluster_ip, node_port, sessionAffinity="ClientIP")
    proxy = captured(svcproxy, [manifest, udp_slice(*backends)], "--workers", "2")
    for _ in range(6):
        assert len({ask_udp(*place) for place in [(cluster_ip, 53), (HERE, node_port)] * 3}) == 1
    for number in range(2):
        worker = proxy.workers()[number]
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
        proxy.wait_for_event("worker started", worker=number)
        assert len({ask_udp(*place) for place in [(cluster_ip, 53), (HERE, node_port)] * 3}) == 1
