"""Capturing by sk_lookup, in a network namespace of the test's own: needs BPF, NET_ADMIN and SYS_ADMIN."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

import proxy
from proxy.bpf.namespace_link import linked_programs
from tests.system.harness.backends import StartBackends, http_backend
from tests.system.harness.captured import DUAL, HERE, SILENCE, captured
from tests.system.harness.clients import Conversation, ask, connect, curl, is_refused
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy
from tests.system.test_traffic_metrics import assert_drops_are_counted, ranged_balancers

SERVICES = 300

pytestmark = [pytest.mark.requires("ip"), pytest.mark.usefixtures("sklookup_permitted")]


def web(places: Places, *endpoints: str, number: int = 7007, **spec: object) -> tuple[list[Manifest], str, int]:
    """A Service with a ClusterIP and a node port, its slice, and those two."""
    cluster_ip, node_port = places.cluster_ip(), places.node_port()
    manifest = service("web", port(80, nodePort=node_port), **({"type": "NodePort", "clusterIP": cluster_ip} | spec))
    return [manifest, endpoint_slice("web", endpoints, {"port": number})], cluster_ip, node_port


def test_many_services_take_no_descriptors(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    names = [f"web-{number}" for number in range(SERVICES)]
    ports = [port(80, name="http"), port(443, name="https")]
    manifests = [service(name, *ports) for name in names]
    slices = [
        endpoint_slice(name, [a.address], {"name": "http", "port": a.port}, {"name": "https", "port": a.port})
        for name in names
    ]
    proxy = captured(svcproxy, manifests + slices, serviceClusterIPRange="127.201.0.0/16")
    given = [str(event["frontend"]).partition("/")[0].split(":") for event in proxy.events("listening")]
    assert len(given) == 2 * SERVICES
    assert {ask(address, int(number)) for address, number in given[:: SERVICES // 10]} == {"a"}
    assert len(os.listdir(f"/proc/{proxy.pid}/fd")) < SERVICES


@pytest.mark.requires("curl")
def test_curl_reaches_node_port_and_cluster_ip_in_both_families(svcproxy: StartSvcproxy, places: Places) -> None:
    here, node_port = places.address(), places.node_port()
    manifests = [
        service("web", port(80, nodePort=node_port), type="NodePort", **DUAL),
        endpoint_slice("web", [here], {"port": 8080}),
    ]
    there = endpoint_slice("web", ["::1"], {"port": 8081}, suffix="ipv6") | {"addressType": "IPv6"}
    with http_backend("four", here, 8080), http_backend("six", "::1", 8081):
        ranges = [places.service_range, "fd00:96::/112"]
        proxy = captured(svcproxy, [*manifests, there], serviceClusterIPRange=ranges)
        addresses = proxy.service("web")["service"]["spec"]["clusterIPs"]
        assert curl(f"http://{addresses[0]}/") == curl(f"http://{HERE}:{node_port}/") == "four\n"
        assert curl(f"http://[{addresses[1]}]/") == curl(f"http://[::1]:{node_port}/") == "six\n"


def test_without_endpoints_clients_are_refused_and_held_connections_go_on(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    (manifest, endpoints), cluster_ip, node_port = web(places, a.address)
    proxy = captured(svcproxy, [manifest])
    assert is_refused(cluster_ip, 80)
    assert is_refused(HERE, node_port)
    proxy.manifests.put(endpoints)
    eventually(lambda: not is_refused(cluster_ip, 80) and not is_refused(HERE, node_port), "the first endpoint")
    with Conversation(HERE, node_port) as held:
        proxy.manifests.remove(endpoints)
        eventually(lambda: is_refused(HERE, node_port) and is_refused(cluster_ip, 80), "the end of the last endpoint")
        assert held.say(b"still") == b"still"


def test_a_service_that_goes_is_refused_and_comes_back(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    (manifest, endpoints), cluster_ip, node_port = web(places, a.address)
    proxy = captured(svcproxy, [manifest, endpoints])
    for _ in range(2):
        assert ask(cluster_ip, 80) == ask(HERE, node_port) == "a"
        proxy.manifests.remove(manifest)
        eventually(lambda: is_refused(cluster_ip, 80) and is_refused(HERE, node_port), "the Service gone")
        proxy.manifests.put(manifest)
        eventually(lambda: not is_refused(cluster_ip, 80) and not is_refused(HERE, node_port), "the Service again")


def test_source_ranges_are_kept_and_may_change(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    inside, outside, balancer = places.address(), places.address(), places.address()

    def ranged(*ranges: str) -> Manifest:
        spec = {"type": "LoadBalancer", "loadBalancerSourceRanges": list(ranges)}
        return service("web", port(80), **spec) | {"status": {"loadBalancer": {"ingress": [{"ip": balancer}]}}}

    endpoints = endpoint_slice("web", [a.address], {"port": a.port})
    proxy = captured(svcproxy, [ranged(f"{inside}/32"), endpoints])
    assert ask(balancer, 80, inside) == "a"
    with pytest.raises(TimeoutError):
        connect(balancer, 80, outside, timeout=SILENCE)
    proxy.manifests.put(ranged(f"{outside}/32"))
    assert eventually(lambda: is_let_in(balancer, outside), "the other range")
    with pytest.raises(TimeoutError):
        connect(balancer, 80, inside, timeout=SILENCE)


def test_packets_from_outside_the_source_ranges_are_counted_for_their_service(
    svcproxy: StartSvcproxy, places: Places
) -> None:
    balancer, number = places.address(), places.node_port()
    ranges = [places.service_range, "fd00:96::/112"]
    proxy = captured(svcproxy, ranged_balancers(balancer, number), "--workers", "2", serviceClusterIPRange=ranges)
    assert_drops_are_counted(proxy, balancer, number)


def is_let_in(address: str, source: str) -> bool:
    try:
        connect(address, 80, source, timeout=SILENCE).close()
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("workers", ["0", "1", "2"])
def test_a_client_sticks_to_its_endpoint(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, workers: str
) -> None:
    backends = echo_backends("a", "b", "c")
    manifests, cluster_ip, node_port = web(places, *(each.address for each in backends), sessionAffinity="ClientIP")
    captured(svcproxy, manifests, "--workers", workers)
    clients = [places.address() for _ in range(12)]
    met = {client: ask(cluster_ip, 80, client) for client in clients}
    assert len(set(met.values())) > 1
    for client in clients:
        assert {ask(cluster_ip, 80, client), ask(HERE, node_port, client)} == {met[client]}


def test_an_ipv6_client_sticks_to_its_endpoint(
    svcproxy: StartSvcproxy, places: Places, backend_stack: ExitStack
) -> None:
    names = ("a", "b", "c")
    for number, name in enumerate(names):
        backend_stack.enter_context(http_backend(name, "::1", 8081 + number))
    node_port = places.node_port()
    spec = {"type": "NodePort", "ipFamilies": ["IPv6"], "sessionAffinity": "ClientIP"}
    slices = [
        endpoint_slice("web", ["::1"], {"port": 8081 + number}, suffix=name) | {"addressType": "IPv6"}
        for number, name in enumerate(names)
    ]
    web6 = [service("web", port(80, nodePort=node_port), **spec), *slices]
    captured(svcproxy, web6, "--workers", "2", serviceClusterIPRange="fd00:96::/112")
    for source in ("::1", "fd00:96::73", "fd00:96::80"):
        flags = ("--interface", source)
        assert len({curl(f"http://[::1]:{node_port}/", *flags) for _ in range(8)}) == 1


def test_a_worker_that_dies_is_back_with_its_sockets_and_no_client_is_refused(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    manifests, cluster_ip, node_port = web(places, a.address)
    proxy = captured(svcproxy, manifests, "--workers", "2")
    for number in range(2):
        worker = proxy.workers()[number]
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
        assert {ask(*place) for place in [(cluster_ip, 80), (HERE, node_port)] * 10} == {"a"}
        proxy.wait_for_event("worker started", worker=number)
    assert {ask(*place) for place in [(cluster_ip, 80), (HERE, node_port)] * 10} == {"a"}
    assert linked_programs() == 1


def test_a_taken_port_is_reported_and_not_taken_away(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    manifests, cluster_ip, node_port = web(places, a.address)
    with socket.create_server((HERE, node_port)) as other:
        proxy = captured(svcproxy, manifests)
        line = proxy.wait_for(f"cannot listen on 0.0.0.0:{node_port}/TCP")
        assert f"(pid {os.getpid()})" in line
        with connect(HERE, node_port):
            other.accept()[0].close()
        assert ask(cluster_ip, 80) == "a"
    eventually(lambda: not is_refused(HERE, node_port), "the port taken over")
    assert ask(HERE, node_port) == "a"


def test_sigterm_refuses_new_clients_and_lets_the_connected_finish(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    manifests, cluster_ip, node_port = web(places, a.address)
    proxy = captured(svcproxy, manifests, "--grace", "10m")
    with Conversation(cluster_ip, 80) as held:
        proxy.send(signal.SIGTERM)
        assert proxy.wait_for_event("draining")["connections"] == 1
        assert is_refused(cluster_ip, 80)
        assert is_refused(HERE, node_port)
        assert held.say(b"still") == b"still"
        assert held.finish() == b""
    assert proxy.wait() == 0
    assert linked_programs() == 0


def test_a_killed_proxy_leaves_nothing_attached(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    manifests, cluster_ip, _ = web(places, a.address)
    proxy = captured(svcproxy, manifests)
    assert linked_programs() == 1
    proxy.send(signal.SIGKILL)
    proxy.wait()
    eventually(lambda: linked_programs() == 0, "the program detached")
    assert is_refused(cluster_ip, 80)


@pytest.mark.requires("setpriv")
def test_without_the_capabilities_it_does_not_start_and_says_what_to_grant(tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    without = ["setpriv", "--bounding-set=-bpf,-sys_admin", "--inh-caps=-bpf,-sys_admin"]
    flags = ["--capture", "sklookup", "--manifests", str(tmp_path / "manifests"), "--state-dir", str(tmp_path)]
    run = subprocess.run(
        [*without, sys.executable, "-m", "proxy", "run", *flags],
        capture_output=True,
        text=True,
        cwd=Path(proxy.__file__).parents[1],
        timeout=50,
        check=False,
    )
    assert run.returncode == 2
    last = run.stderr.splitlines()[-1]
    assert last.startswith("svcproxy: capture: sklookup: ")
    assert "capabilities BPF and NET_ADMIN" in last
    assert "Traceback" not in run.stderr


def test_few_frontends_are_bound_by_default(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    manifests, cluster_ip, _ = web(places, a.address)
    svcproxy(manifests)
    assert ask(cluster_ip, 80) == "a"
    assert linked_programs() == 0


def test_frontends_that_do_not_fit_are_looked_up_by_default(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    names = [f"web-{number}" for number in range(SERVICES)]
    manifests = [service(name, port(80)) for name in names]
    slices = [endpoint_slice(name, [a.address], {"port": a.port}) for name in names]
    few = ("sh", "-c", f'ulimit -n {SERVICES}; exec "$@"', "sh")
    proxy = svcproxy(manifests + slices, configuration={"serviceClusterIPRange": "127.202.0.0/16"}, under=few)
    assert linked_programs() == 1
    given = [str(event["frontend"]).partition("/")[0].split(":") for event in proxy.events("listening")]
    assert {ask(address, int(number)) for address, number in given[::30]} == {"a"}
