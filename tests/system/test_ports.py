"""Ports: taken ones, shared numbers, several of a Service, protocols that are not served."""

import os
import socket

from tests.system.harness.backends import StartBackends, echo_backend
from tests.system.harness.clients import ask, ask_udp, is_refused, served_by
from tests.system.harness.eventually import eventually
from tests.system.harness.listening_sockets import listener_inode
from tests.system.harness.manifests import Manifest, endpoint_slice, pod, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy

HERE = "127.0.0.1"
PORT = 7007


def node_port_service(name: str, node_port: int) -> Manifest:
    return service(name, port(80, nodePort=node_port), type="NodePort")


def behind(name: str, address: str, number: int = PORT) -> Manifest:
    return endpoint_slice(name, [address], {"port": number})


def test_a_taken_port_is_one_line_harms_no_other_and_is_taken_over(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    a, b = echo_backends("a", "b")
    taken, free = places.node_port(), places.node_port()
    manifests = [
        *(node_port_service("unlucky", taken), behind("unlucky", a.address)),
        *(node_port_service("lucky", free), behind("lucky", a.address)),
    ]
    with socket.create_server(("0.0.0.0", taken)):
        proxy = svcproxy(manifests)
        assert ask(HERE, free) == "a"
        line = proxy.wait_for(f"cannot listen on 0.0.0.0:{taken}/TCP")
        assert f"(pid {os.getpid()})" in line
        assert "another nodePort" in line
        faults = [frontend.get("fault") for frontend in proxy.service("unlucky")["frontends"]]
        assert any("is taken by" in str(fault) for fault in faults)
        cluster_ip = proxy.service("unlucky")["service"]["spec"]["clusterIPs"][0]
        assert ask(cluster_ip, 80) == "a"
        # A change of the Service is another try at its port, and no other line.
        proxy.manifests.put(behind("unlucky", b.address))
        eventually(lambda: list(proxy.endpoints("unlucky")) == [f"{b.address}:{PORT}"], "the edit in force")
    eventually(lambda: not is_refused(HERE, taken), "the port taken over")
    assert ask(HERE, taken) == "b"
    assert len([line for line in proxy.stderr if "cannot listen on" in line]) == 1


def test_a_taken_udp_port_is_reported_as_udp(
    svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends
) -> None:
    (a,) = udp_backends("a")
    taken = places.node_port()
    dns = service("dns", port(53, protocol="UDP", nodePort=taken), type="NodePort")
    endpoints = endpoint_slice("dns", [a.address], {"port": a.port, "protocol": "UDP"})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("0.0.0.0", taken))
        proxy = svcproxy([dns, endpoints])
        assert f"(pid {os.getpid()})" in proxy.wait_for(f"cannot listen on 0.0.0.0:{taken}/UDP")
    proxy.wait_until_listening("UDP", "0.0.0.0", taken)
    assert ask_udp(HERE, taken) == "a"


def test_a_port_is_given_up_with_the_service_that_could_not_have_it(svcproxy: StartSvcproxy, places: Places) -> None:
    taken = places.node_port()
    unlucky = node_port_service("unlucky", taken)
    with socket.create_server(("0.0.0.0", taken)):
        proxy = svcproxy([unlucky])
        proxy.wait_for("cannot listen on")
        proxy.manifests.remove(unlucky)
        eventually(lambda: '"services":[]' in proxy.get("/api/v1/services")[1], "the removal")
    assert is_refused(HERE, taken)
    assert listener_inode("0.0.0.0", taken) is None


def test_tcp_and_udp_share_a_number(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, udp_backends: StartBackends
) -> None:
    (stream,), (datagrams,) = echo_backends("stream"), udp_backends("datagrams")
    cluster_ip, node_port = places.cluster_ip(), places.node_port()
    both = service(
        "echo",
        port(PORT, name="tcp", nodePort=node_port),
        port(PORT, name="udp", protocol="UDP", nodePort=node_port),
        type="NodePort",
        clusterIP=cluster_ip,
    )
    svcproxy(
        [
            both,
            endpoint_slice("echo", [stream.address], {"name": "tcp", "port": PORT}),
            endpoint_slice("echo", [datagrams.address], {"name": "udp", "port": PORT, "protocol": "UDP"}, suffix="2"),
        ]
    )
    for address, number in ((HERE, node_port), (cluster_ip, PORT)):
        assert ask(address, number) == "stream"
        assert ask_udp(address, number) == "datagrams"


def test_several_ports_lead_to_several_target_ports(svcproxy: StartSvcproxy, places: Places) -> None:
    address, cluster_ip = places.address(), places.cluster_ip()
    several = service(
        "several",
        port(80, "web", name="web"),
        port(443, 7008, name="web-tls"),
        port(9090, name="metrics"),
        clusterIP=cluster_ip,
        selector={"app": "web"},
    )
    only = pod("only", address, {"web": PORT}, {"app": "web"})
    with (
        echo_backend("plain", address),
        echo_backend("encrypted", address, 7008),
        echo_backend("measured", address, 9090),
    ):
        svcproxy([several, only])
        assert [ask(cluster_ip, number) for number in (80, 443, 9090)] == ["plain", "encrypted", "measured"]
        assert is_refused(cluster_ip, 81)


def test_sctp_is_reported_and_the_other_ports_serve(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    cluster_ip = places.cluster_ip()
    mixed = service(
        "mixed", port(80, name="web"), port(38412, name="signalling", protocol="SCTP"), clusterIP=cluster_ip
    )
    proxy = svcproxy([mixed, endpoint_slice("mixed", [a.address], {"name": "web", "port": PORT})])
    assert ask(cluster_ip, 80) == "a"
    line = proxy.wait_for("SCTP")
    assert "mixed" in line
    assert any("SCTP" in note for note in proxy.service("mixed")["notes"])


def test_a_node_port_that_two_services_claim_serves_one_and_is_reported_for_the_other(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    a, b = echo_backends("a", "b")
    node_port = places.node_port()
    proxy = svcproxy([node_port_service("first", node_port), behind("first", a.address), behind("second", b.address)])
    assert ask(HERE, node_port) == "a"
    proxy.manifests.put(node_port_service("second", node_port))
    line = proxy.wait_for("provided port is already allocated")
    assert "second" in line
    assert str(node_port) in line
    assert ask(HERE, node_port) == "a"
    proxy.manifests.remove(node_port_service("first", node_port))
    eventually(lambda: served_by(HERE, node_port) == "b", "the second's turn")


def test_a_cluster_ip_that_two_services_claim_serves_one_and_is_reported_for_the_other(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    a, b = echo_backends("a", "b")
    cluster_ip = places.cluster_ip()
    proxy = svcproxy([service("first", port(80), clusterIP=cluster_ip), behind("first", a.address)])
    proxy.manifests.put(service("second", port(80), clusterIP=cluster_ip), behind("second", b.address))
    line = proxy.wait_for("provided IP is already allocated")
    assert "second" in line
    assert cluster_ip in line
    assert ask(cluster_ip, 80) == "a"
