"""The limit on open files, with `ulimit -n 64`: those who fit are served, the others later, and nothing spins."""

import select
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import dns.message
import dns.query
import psutil
import pytest

from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import TIMEOUT, ask_udp, connect
from tests.system.harness.eventually import eventually
from tests.system.harness.held import held_services
from tests.system.harness.kubectl import Kubectl
from tests.system.harness.manifests import endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import HEALTH_PORT, METRICS_PORT, StartSvcproxy, Svcproxy

HERE = "127.0.0.1"
UNDER_64 = ("bash", "-c", 'ulimit -n 64; exec "$@"', "bash")
PAGE = b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
CLIENTS = 60
WAITING_SECONDS = 1.0
SPINNING_SECONDS = 0.5
"""CPU time in `WAITING_SECONDS` that only a loop which never waits can use."""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def cpu_seconds(proxy: Svcproxy) -> float:
    times = psutil.Process(proxy.pid).cpu_times()
    return float(times.user + times.system)


def greeted(clients: Sequence[socket.socket], seconds: float = 0) -> list[socket.socket]:
    """Those to whom a backend has spoken."""
    return select.select(clients, [], [], seconds)[0]


def test_clients_beyond_the_limit_wait_and_are_served_later(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, stack: ExitStack
) -> None:
    (a,) = echo_backends("a")
    node_port = places.node_port()
    web = service("web", port(80, nodePort=node_port), type="NodePort")
    svcproxy([web, endpoint_slice("web", [a.address], {"port": a.port})], under=UNDER_64)
    waiting = [stack.enter_context(connect(HERE, node_port)) for _ in range(CLIENTS)]
    eventually(lambda: greeted(waiting), "the first clients served")
    served = 0
    for _ in range(CLIENTS):
        fitting = greeted(waiting, TIMEOUT)
        for client in fitting:
            assert client.recv(100) == b"a\n"
            waiting.remove(client)
            served += 1
        if served == CLIENTS:
            break
        assert fitting, "the clients that waited were never served"
        client.sendall(b"the last of these")
        assert client.recv(100) == b"the last of these"
        for client in fitting:
            client.close()
    assert served == CLIENTS


def test_a_full_proxy_neither_spins_nor_goes_silent(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, stack: ExitStack
) -> None:
    (a,) = echo_backends("a")
    node_port = places.node_port()
    web = service("web", port(80, nodePort=node_port), type="NodePort")
    proxy = svcproxy([web, endpoint_slice("web", [a.address], {"port": a.port})], under=UNDER_64)
    clients = [stack.enter_context(connect(HERE, node_port)) for _ in range(CLIENTS)]
    fitting = eventually(lambda: greeted(clients), "the first clients served")
    while more := greeted([client for client in clients if client not in fitting], WAITING_SECONDS):
        fitting += more
    assert 4 <= len(fitting) < CLIENTS
    waiting = [client for client in clients if client not in fitting]
    before = cpu_seconds(proxy)
    assert greeted(waiting, WAITING_SECONDS) == []
    assert cpu_seconds(proxy) - before < SPINNING_SECONDS
    assert proxy.get("/livez")[0] == 200
    assert proxy.service("web")["service"]["metadata"]["name"] == "web"
    for client in fitting:
        assert client.recv(100) == b"a\n"
        client.sendall(b"served")
        assert client.recv(100) == b"served"
    proxy.manifests.put(service("new", port(81)))
    eventually(lambda: '"new"' in proxy.get("/api/v1/services")[1], "an edit while full")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_full_proxy_answers_about_itself_whoever_looks_on(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, stack: ExitStack, workers: int
) -> None:
    """With the data plane at its limit, more pages and more silent connections than the process has descriptors."""
    (a,) = echo_backends("a")
    node_port = places.node_port()
    web = service("web", port(80, nodePort=node_port), type="NodePort")
    manifests = [web, endpoint_slice("web", [a.address], {"port": a.port})]
    proxy = svcproxy(manifests, configuration={"workers": workers}, under=UNDER_64)
    clients = [stack.enter_context(connect(HERE, node_port)) for _ in range(CLIENTS)]
    fitting = eventually(lambda: greeted(clients), "the first clients served")
    pages = [onlooker(stack, proxy.status_address, METRICS_PORT, PAGE) for _ in range(CLIENTS)]
    for _ in range(CLIENTS):
        onlooker(stack, proxy.status_address, HEALTH_PORT)
    for path, number in (("/livez", HEALTH_PORT), ("/livez", METRICS_PORT), ("/metrics", METRICS_PORT)):
        assert proxy.get(path, number)[0] == 200
    assert proxy.service("web")["service"]["metadata"]["name"] == "web"
    eventually(lambda: any(map(shows_a_picture, pages)), "a page that is kept up to date")
    for client in fitting:
        assert client.recv(100) == b"a\n"
        client.sendall(b"served")
        assert client.recv(100) == b"served"


@pytest.mark.parametrize("workers", [0, 1])
def test_idle_connections_of_dns_stop_neither_health_nor_names(
    svcproxy: StartSvcproxy, stack: ExitStack, workers: int
) -> None:
    proxy = svcproxy([service("web", port(80))], configuration={"workers": workers}, under=UNDER_64)
    address, number = names_of(proxy)
    for _ in range(2 * CLIENTS):
        onlooker(stack, address, number)
    for path, page in (("/livez", HEALTH_PORT), ("/livez", METRICS_PORT), ("/metrics", METRICS_PORT)):
        assert proxy.get(path, page)[0] == 200
    question = dns.message.make_query("web.default.svc.cluster.local.", "A")
    answer = dns.query.tcp(question, address, TIMEOUT, number)
    assert answer.answer
    proxy.manifests.put(service("new", port(81)))
    eventually(lambda: '"new"' in proxy.get("/api/v1/services")[1], "an edit while clients of DNS are idle")


def test_the_end_with_open_connections_of_dns_is_no_traceback(svcproxy: StartSvcproxy, stack: ExitStack) -> None:
    proxy = svcproxy([service("web", port(80))])
    clients = [onlooker(stack, *names_of(proxy)) for _ in range(3)]
    assert proxy.stop() == 0
    assert all(client.recv(1) == b"" for client in clients)
    assert "Traceback" not in proxy.output()


@pytest.mark.requires("kubectl")
def test_whoever_holds_connections_of_the_api_keeps_nobody_out(
    svcproxy: StartSvcproxy, places: Places, tmp_path: Path, stack: ExitStack
) -> None:
    api = places.address()
    proxy = svcproxy((), "--standalone", f"--api-bind-address={api}:6443", configuration={"workers": 1}, under=UNDER_64)
    for _ in range(2 * CLIENTS):
        onlooker(stack, api, 6443)
    assert proxy.get("/livez")[0] == 200
    kubectl = Kubectl(tmp_path, tmp_path / "state" / "kubeconfig")
    assert kubectl.apply(service("web", port(80))) == ["service/web created"]
    eventually(lambda: "web" in held_services(proxy), "the Service")


def names_of(proxy: Svcproxy) -> tuple[str, int]:
    """Where names are answered."""
    event = proxy.wait_for_event("serving DNS")
    return str(event["address"]), int(str(event["port"]))


def onlooker(stack: ExitStack, address: str, port: int, request: bytes = b"") -> socket.socket:
    """A connection that stays, if only on this side: it may be let go for the next one at any moment."""
    sock = stack.enter_context(socket.socket())
    sock.settimeout(TIMEOUT)
    with suppress(ConnectionError):
        sock.connect((address, port))
        sock.sendall(request)
    return sock


def shows_a_picture(page: socket.socket) -> bool:
    """Whether a stream has begun to come."""
    try:
        return b"event-stream" in page.recv(4096, socket.MSG_DONTWAIT | socket.MSG_PEEK)
    except (BlockingIOError, ConnectionError):
        return False


def test_udp_clients_beyond_the_limit_take_the_place_of_the_idle(
    svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends
) -> None:
    (a,) = udp_backends("a")
    node_port = places.node_port()
    dns = service("dns", port(53, protocol="UDP", nodePort=node_port), type="NodePort")
    endpoints = endpoint_slice("dns", [a.address], {"port": a.port, "protocol": "UDP"})
    svcproxy([dns, endpoints], under=UNDER_64)
    assert {ask_udp(HERE, node_port) for _ in range(200)} == {"a"}
