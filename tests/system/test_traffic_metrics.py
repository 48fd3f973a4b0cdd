"""What /metrics says of real traffic, and what promtool says of it."""

import shutil
import socket
import subprocess
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import Conversation, ask, ask_often, ask_udp, connect, is_reset, receive_all
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, endpoint_slice, pod, port, service
from tests.system.harness.outside import HERE as NEAR
from tests.system.harness.outside import Outside
from tests.system.harness.passage import Passage
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

HERE = "127.0.0.1"


def sample(proxy: Svcproxy, name: str, **labels: str) -> float:
    """The sum of the samples that have these labels."""
    _, text = proxy.get("/metrics")
    return sum(
        each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
        if each.name == f"svcproxy_{name}" and labels.items() <= each.labels.items()
    )


def until(proxy: Svcproxy, name: str, holds: Callable[[float], bool], **labels: str) -> None:
    eventually(lambda: holds(sample(proxy, name, **labels)), f"{name} {labels}")


def test_connections_and_bytes_are_counted_while_they_live_and_when_they_are_over(
    svcproxy: StartSvcproxy, passage: Passage
) -> None:
    proxy = svcproxy(passage.manifests, configuration={"metricsPerEndpoint": True})
    web = {"namespace": "default", "service": "passage"}
    client, backend = passage.open()
    client.sendall(b"x" * 1000)
    assert len(backend.recv(1000, socket.MSG_WAITALL)) == 1000
    backend.sendall(b"y" * 3000)
    assert len(client.recv(3000, socket.MSG_WAITALL)) == 3000
    until(proxy, "connections_opened_total", lambda value: value == 1, **web)
    until(proxy, "connections_open", lambda value: value == 1, **web)
    until(proxy, "received_bytes_total", lambda value: value == 1000, **web)
    until(proxy, "sent_bytes_total", lambda value: value == 3000, **web)
    client.close()
    receive_all(backend)
    backend.close()
    until(proxy, "connections_closed_total", lambda value: value == 1, **web)
    assert sample(proxy, "connections_open", **web) == 0
    assert sample(proxy, "sent_bytes_total", **web) == 3000
    assert sample(proxy, "connect_duration_seconds_count", **web) == 1
    assert sample(proxy, "connection_duration_seconds_count", **web) == 1
    place = f"{passage.backend_address}:7007"
    assert sample(proxy, "endpoint_received_bytes_total", endpoint=place) == 1000


def test_what_no_endpoint_takes_is_counted_by_its_reason(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    node_port = places.node_port()
    web = service("web", port(80, nodePort=node_port), type="NodePort")
    dead = places.address()
    proxy = svcproxy([web, endpoint_slice("web", [dead], {"port": a.port})])
    for _ in range(3):
        assert is_reset(HERE, node_port)
    until(proxy, "connections_failed_total", lambda value: value == 3, service="web", reason="connect_refused")
    assert sample(proxy, "endpoint_ejections_total", service="web") >= 1
    proxy.manifests.put(endpoint_slice("web", [dead, a.address], {"port": a.port}))
    eventually(lambda: len(proxy.endpoints("web")) == 2, "two endpoints")
    assert ask_often(4, HERE, node_port) == {"a": 4}
    until(proxy, "connections_opened_total", lambda value: value == 4, service="web")


def test_affinity_and_udp_have_their_own_counts(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, udp_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    (b,) = udp_backends("b")
    tcp, udp = places.node_port(), places.node_port()
    proxy = svcproxy(
        [
            service("web", port(80, nodePort=tcp), type="NodePort", sessionAffinity="ClientIP"),
            endpoint_slice("web", [a.address], {"port": a.port}),
            service("dns", port(53, protocol="UDP", nodePort=udp), type="NodePort"),
            endpoint_slice("dns", [b.address], {"port": b.port, "protocol": "UDP"}),
        ]
    )
    ask_often(4, HERE, tcp)
    until(proxy, "service_affinity_hits_total", lambda value: value == 3, service="web")
    assert sample(proxy, "service_affinity_misses_total", service="web") == 1
    assert ask_udp(HERE, udp, b"12345") == "b"
    until(proxy, "udp_flows_opened_total", lambda value: value == 1, service="dns")
    until(proxy, "received_bytes_total", lambda value: value == 5, service="dns", protocol="UDP")
    assert sample(proxy, "udp_flows_open", service="dns") == 1
    assert sample(proxy, "udp_datagrams_received_total", service="dns") == 1
    assert sample(proxy, "worker_descriptor_limit") > sample(proxy, "worker_descriptors") > 0


def test_clients_forgotten_to_make_room_are_counted_for_their_service(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    web, mail = places.node_port(), places.node_port()
    manifests = [
        part
        for name, number in (("web", web), ("mail", mail))
        for part in (
            service(name, port(80, nodePort=number), type="NodePort", sessionAffinity="ClientIP"),
            endpoint_slice(name, [a.address], {"port": a.port}),
        )
    ]
    proxy = svcproxy(manifests, configuration={"workers": 1, "affinityEntries": 2})
    for client in ("127.0.0.2", "127.0.0.3"):
        assert ask(HERE, web, client) == "a"
    for client in ("127.0.0.2", "127.0.0.3", "127.0.0.4"):
        assert ask(HERE, mail, client) == "a"
    until(proxy, "affinity_evictions_total", lambda value: value == 3)
    assert sample(proxy, "service_affinity_evictions_total", service="web", protocol="TCP") == 2
    assert sample(proxy, "service_affinity_evictions_total", service="mail", protocol="TCP") == 1


def test_datagrams_that_begin_no_flow_are_counted_by_their_reason(
    svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends
) -> None:
    (a,) = udp_backends("a")
    node_port = places.node_port()
    dns = service("dns", port(53, protocol="UDP", nodePort=node_port), type="NodePort", selector={"app": "dns"})

    def backend(weight: str) -> Manifest:
        return pod("a", a.address, {"dns": a.port}, {"app": "dns", "svcproxy.io/weight": weight}, protocol="UDP")

    dns["spec"]["ports"][0]["targetPort"] = "dns"
    proxy = svcproxy([dns, backend("1")], configuration={"workers": 1})
    assert ask_udp(HERE, node_port) == "a"
    proxy.manifests.put(backend("0"))
    eventually(lambda: set(proxy.endpoints("dns").values()) == {0}, "the endpoint drains")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as late:
        late.connect((HERE, node_port))
        for _ in range(3):
            late.send(b"nobody takes this")
        until(proxy, "udp_flows_failed_total", lambda value: value == 3, service="dns", reason="no_endpoints")
    assert sample(proxy, "udp_flows_opened_total", service="dns") == 1


def test_counters_do_not_go_back_when_the_policy_changes(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    node_port = places.node_port()
    here = {"addresses": [a.address], "nodeName": "this"}

    def web(policy: str) -> Manifest:
        return service("web", port(80, nodePort=node_port), type="NodePort", externalTrafficPolicy=policy)

    proxy = svcproxy([web("Local"), endpoint_slice("web", [here], {"port": a.port})], "--hostname-override", "this")
    with Conversation(HERE, node_port) as held:
        ask_often(5, HERE, node_port)
        until(proxy, "connections_opened_total", lambda value: value == 6, service="web")
        proxy.manifests.put(web("Cluster"))
        eventually(lambda: len(proxy.service("web")["pools"]) == 1, "the other policy")
        assert sample(proxy, "connections_opened_total", service="web") == 6
        assert sample(proxy, "connections_open", service="web") == 1
        until(proxy, "worker_loop_lag_seconds_count", lambda value: value > 0, worker="0")
        ask_often(3, HERE, node_port)
        until(proxy, "connections_opened_total", lambda value: value == 9, service="web")
        held.finish()
    until(proxy, "connections_open", lambda value: value == 0, service="web")
    until(proxy, "connections_closed_total", lambda value: value == 9, service="web")


def test_health_check_ports_are_among_the_descriptors_of_a_data_plane_that_shares_the_limit(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    node_port, health_port = places.node_port(), places.node_port()
    here = {"addresses": [a.address], "nodeName": "this"}
    endpoints = endpoint_slice("web", [here], {"port": a.port})
    web = service("web", port(80, nodePort=node_port), type="LoadBalancer")
    proxy = svcproxy([web, endpoints], configuration={"workers": 0, "hostnameOverride": "this"})
    before = sample(proxy, "worker_descriptors")
    local = service(
        "web",
        port(80, nodePort=node_port),
        type="LoadBalancer",
        externalTrafficPolicy="Local",
        healthCheckNodePort=health_port,
    )
    proxy.manifests.put(local)
    until(proxy, "worker_descriptors", lambda value: value == before + 1)
    assert is_open(health_port)
    proxy.manifests.put(web)
    until(proxy, "worker_descriptors", lambda value: value == before)


def is_open(number: int) -> bool:
    with connect(HERE, number):
        return True


OUTSIDE = "127.0.0.7"
RANGES = ["127.0.0.8/29", "fd00::/8"]


def ranged_balancers(address: str, number: int) -> list[Manifest]:
    """A load balancer Service for TCP and UDP with source ranges, that has an IPv4 and an IPv6 address."""
    ports = [port(number, name=name, protocol=protocol) for name, protocol in (("web", "TCP"), ("dns", "UDP"))]
    status = {"status": {"loadBalancer": {"ingress": [{"ip": address}, {"ip": "::1"}]}}}
    families = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]}
    balanced = service("ranged", *ports, type="LoadBalancer", loadBalancerSourceRanges=RANGES, **families)
    targets = [{"name": "web", "port": 7007}, {"name": "dns", "port": 7007, "protocol": "UDP"}]
    slices = [endpoint_slice("ranged", [address], *targets), endpoint_slice("ranged", ["::1"], *targets, suffix="6")]
    return [balanced | status, slices[0], slices[1] | {"addressType": "IPv6"}]


def begin(kind: socket.SocketKind, address: str, number: int) -> None:
    """The first packet of a client from outside the ranges, which gives up at once."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as client:
        client.setblocking(False)
        if ":" not in address:
            client.bind((OUTSIDE, 0))
        client.connect_ex((address, number))
        if kind is socket.SOCK_DGRAM:
            client.send(b"anybody?")


def assert_drops_are_counted(proxy: Svcproxy, balancer: str, number: int) -> None:
    """By protocol, both families together, each packet once; and they go on where the ranges were lifted meanwhile."""
    labels = {"namespace": "default", "service": "ranged", "reason": "source_ranges"}
    for address, times in ((balancer, 2), ("::1", 3)):
        for _ in range(times):
            begin(socket.SOCK_STREAM, address, number)
            begin(socket.SOCK_DGRAM, address, number)
    begin(socket.SOCK_DGRAM, balancer, number)
    until(proxy, "dropped_packets_total", lambda value: value == 5, **labels, protocol="TCP", port="web")
    until(proxy, "dropped_packets_total", lambda value: value == 6, **labels, protocol="UDP", port="dns")
    assert sample(proxy, "connections_opened_total", service="ranged") == 0
    workers = proxy.workers()
    for worker in workers:
        worker.kill()
    for index in range(len(workers)):
        proxy.wait_for_event("worker started", worker=index)
    begin(socket.SOCK_STREAM, "::1", number)
    until(proxy, "dropped_packets_total", lambda value: value == 6, **labels, protocol="TCP")


def test_packets_from_outside_the_source_ranges_are_counted_for_their_service(
    svcproxy: StartSvcproxy, places: Places
) -> None:
    balancer, number = places.address(), places.node_port()
    manifests = ranged_balancers(balancer, number)
    settings = {"workers": 2, "serviceClusterIPRange": [places.service_range, "fd00:96::/112"], "capture": "bind"}
    proxy = svcproxy(manifests, configuration=settings)
    assert_drops_are_counted(proxy, balancer, number)
    proxy.manifests.remove(*manifests[1:])
    eventually(lambda: not proxy.endpoints("ranged"), "no endpoints")
    proxy.manifests.put(*manifests[1:])
    eventually(lambda: len(proxy.endpoints("ranged")) == 2, "endpoints again")
    begin(socket.SOCK_DGRAM, "::1", number)
    until(proxy, "dropped_packets_total", lambda value: value == 7, service="ranged", protocol="UDP")


@pytest.mark.requires("ip")
def test_packets_that_policy_local_leaves_unanswered_are_counted(
    outside: Outside, svcproxy: StartSvcproxy, places: Places
) -> None:
    node_ports = {"TCP": places.node_port(), "UDP": places.node_port()}
    ports = [
        port(80, name=name.lower(), protocol=name, nodePort=node_port, targetPort=7007)
        for name, node_port in node_ports.items()
    ]
    local = service("local", *ports, type="NodePort", externalTrafficPolicy="Local")
    targets = [{"name": name.lower(), "protocol": name, "port": 7007} for name in node_ports]
    away = endpoint_slice("local", [{"addresses": ["192.0.2.1"], "nodeName": "other"}], *targets)
    proxy = svcproxy([local, away], configuration={"hostnameOverride": "this"})
    for _ in range(2):
        for name, kind in (("TCP", socket.SOCK_STREAM), ("UDP", socket.SOCK_DGRAM)):
            with outside.open(socket.AF_INET, kind) as client:
                client.setblocking(False)
                client.connect_ex((NEAR, node_ports[name]))
                if kind is socket.SOCK_DGRAM:
                    client.send(b"anybody?")
    for protocol in node_ports:
        labels = {"service": "local", "protocol": protocol, "reason": "no_local_endpoints"}
        until(proxy, "dropped_packets_total", lambda value: value == 2, **labels)


def test_counts_survive_the_workers_that_made_them(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    node_port = places.node_port()
    web = service("web", port(80, nodePort=node_port), type="NodePort")
    proxy = svcproxy([web, endpoint_slice("web", [a.address], {"port": a.port})], configuration={"workers": 2})
    labels = {"namespace": "default", "service": "web"}
    ask_often(20, HERE, node_port)
    until(proxy, "connections_closed_total", lambda value: value == 20, **labels)
    with connect(HERE, node_port) as held:
        assert held.recv(2) == b"a\n"
        until(proxy, "connections_open", lambda value: value == 1, **labels)
        for worker in proxy.workers():
            worker.kill()
        until(proxy, "connections_open", lambda value: value == 0, **labels)
    assert sample(proxy, "connections_opened_total", **labels) >= 20
    assert sample(proxy, "connections_closed_total", **labels) == 20
    ask_often(5, HERE, node_port)
    until(proxy, "connections_closed_total", lambda value: value == 25, **labels)


@pytest.mark.requires("promtool")
def test_promtool_finds_nothing_to_say_about_a_running_proxy(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    node_port = places.node_port()
    web = service("web", port(80, nodePort=node_port), type="NodePort")
    proxy = svcproxy([web, endpoint_slice("web", [a.address], {"port": a.port})])
    with Conversation(HERE, node_port) as held:
        assert held.say(b"hello") == b"hello"
        until(proxy, "received_bytes_total", lambda value: value == 5, service="web")
        _, text = proxy.get("/metrics")
    program = shutil.which("promtool") or "promtool"
    done = subprocess.run([program, "check", "metrics"], input=text, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_endpoints_are_counted_by_state_also_where_there_are_none(
    svcproxy: StartSvcproxy, echo_backends: StartBackends, places: Places
) -> None:
    good, bad = echo_backends("a")[0].address, places.address()
    address = places.cluster_ip()
    proxy = svcproxy(
        (
            service("web", port(80, 7007), clusterIP=address),
            endpoint_slice("web", [good, bad], {"port": 7007}),
            service("none", port(80, 7007), selector={"app": "none"}),
        )
    )
    until(proxy, "service_endpoints", lambda number: number == 2, service="web", state="ready")
    assert 'service="none",state="ready"} 0' in proxy.get("/metrics")[1]

    def refused() -> bool:
        assert ask(address, 80) == "a"
        return sample(proxy, "service_endpoints", service="web", state="failing") == 1

    eventually(refused, "the endpoint that refuses")
    assert sample(proxy, "service_endpoints", service="web", state="ready") == 1
    assert sample(proxy, "worker_memory_bytes", worker="0") > 1_000_000
    assert sample(proxy, "worker_cpu_seconds_total", worker="0") > 0
