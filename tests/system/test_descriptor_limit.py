"""The limit on open files, with `ulimit -n 64`: those who fit are served, the others later, and nothing spins."""

import select
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import psutil
import pytest

from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import TIMEOUT, ask_udp, connect
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

HERE = "127.0.0.1"
UNDER_64 = ("bash", "-c", 'ulimit -n 64; exec "$@"', "bash")
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


def test_udp_clients_beyond_the_limit_take_the_place_of_the_idle(
    svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends
) -> None:
    (a,) = udp_backends("a")
    node_port = places.node_port()
    dns = service("dns", port(53, protocol="UDP", nodePort=node_port), type="NodePort")
    endpoints = endpoint_slice("dns", [a.address], {"port": a.port, "protocol": "UDP"})
    svcproxy([dns, endpoints], under=UNDER_64)
    assert {ask_udp(HERE, node_port) for _ in range(200)} == {"a"}
