"""UDP through the proxy: each client its own answers, from the address it asked."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import TIMEOUT, ask_udp
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy

HERE = "127.0.0.1"
PORT = 7007
FLOWS = 10_000
BATCH = 50
"""Datagrams on their way at a time, which fit into every socket's queue."""


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def udp_service(node_port: int, *addresses: str) -> list[Manifest]:
    ports = port(53, protocol="UDP", nodePort=node_port)
    endpoints = endpoint_slice("dns", addresses, {"port": PORT, "protocol": "UDP"})
    return [service("dns", ports, type="NodePort"), endpoints]


def client_of(address: str, port: int, stack: ExitStack) -> socket.socket:
    client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    client.settimeout(TIMEOUT)
    client.connect((address, port))
    return client


def answers(clients: list[socket.socket], word: str) -> list[str]:
    """Who answered each client, after it was seen that what it got is its own datagram."""
    names = []
    for first in range(0, len(clients), BATCH):
        batch = clients[first : first + BATCH]
        questions = [f"{word} {client.getsockname()[1]}".encode() for client in batch]
        for client, question in zip(batch, questions, strict=True):
            client.send(question)
        for client, question in zip(batch, questions, strict=True):
            name, _, echoed = client.recv(100).partition(b":")
            assert echoed == question
            names.append(name.decode())
    return names


def test_10000_flows_each_get_their_own_answers_and_keep_their_backend(
    svcproxy: StartSvcproxy,
    places: Places,
    udp_backends: StartBackends,
    stack: ExitStack,
    open_files: Callable[[int], None],
) -> None:
    open_files(FLOWS + 500)
    backends = udp_backends("a", "b", "c", "d")
    node_port = places.node_port()
    svcproxy(udp_service(node_port, *(each.address for each in backends)))
    clients = [client_of(HERE, node_port, stack) for _ in range(FLOWS)]
    assert len({client.getsockname() for client in clients}) == FLOWS
    first = answers(clients, "first")
    assert {name: first.count(name) for name in "abcd"} == dict.fromkeys("abcd", FLOWS // 4)
    assert answers(clients, "second") == first


def test_replies_come_from_the_address_that_was_asked(
    svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends
) -> None:
    (a,) = udp_backends("a")
    node_port = places.node_port()
    svcproxy(udp_service(node_port, a.address))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(TIMEOUT)
        for asked in (HERE, "127.0.0.77", places.address(), HERE):
            client.sendto(asked.encode(), (asked, node_port))
            assert client.recvfrom(100) == (f"a:{asked}".encode(), (asked, node_port))


@pytest.mark.parametrize("size", [0, 1, 1472, 60_000])
def test_datagrams_keep_their_size(
    svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends, size: int
) -> None:
    (a,) = udp_backends("a")
    node_port = places.node_port()
    svcproxy(udp_service(node_port, a.address))
    assert ask_udp(HERE, node_port, bytes(size)) == "a"


def test_a_client_moves_when_its_endpoint_leaves_and_stays_otherwise(
    svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends, stack: ExitStack
) -> None:
    backends = {each.name: each.address for each in udp_backends("a", "b", "c")}
    node_port = places.node_port()
    proxy = svcproxy(udp_service(node_port, *backends.values()))
    clients = [client_of(HERE, node_port, stack) for _ in range(6)]
    first = answers(clients, "first")
    staying = [address for name, address in backends.items() if name != "b"]
    proxy.manifests.put(*udp_service(node_port, *staying))
    eventually(lambda: len(proxy.endpoints("dns")) == 2, "the removal")
    then = answers(clients, "then")
    assert "b" not in then
    assert all(now == before for now, before in zip(then, first, strict=True) if before != "b")


def test_a_client_moves_on_when_its_backend_refuses(
    svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends, stack: ExitStack
) -> None:
    (alive,) = udp_backends("alive")
    node_port = places.node_port()
    svcproxy(udp_service(node_port, alive.address, places.address()))
    for client in (client_of(HERE, node_port, stack) for _ in range(6)):

        def is_answered(client: socket.socket = client) -> bool:
            client.settimeout(0.1)
            client.send(b"anybody?")
            try:
                return client.recv(100) == b"alive:anybody?"
            except TimeoutError:
                return False

        eventually(is_answered, "the answer of the backend that is there")
