"""Real packets through the tables: who answers, in both families, and what happens to flows of endpoints that leave."""

import select
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import msgspec
import pytest

from proxy.plan.frontend import Delta, Pool
from tests.nftables.conftest import MakePath
from tests.nftables.planned import frontend, pool

PATIENCE = 20.0
PLACES = {"10.96.200.": "10.96.0.1", "fd00:96::ff": "fd00:96::1"}
_IPV6_FREEBIND = 78


class Endpoints:
    """Sockets at the first addresses of a network, port 8080."""

    def __init__(self, stack: ExitStack, network: str, kind: socket.SocketKind) -> None:
        self.sockets: dict[str, socket.socket] = {}
        for number in (1, 2, 3):
            address = f"{network}{number}"
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            sock = self.sockets[address] = stack.enter_context(socket.socket(family, kind))
            if ":" in address:
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
            sock.bind((address, 8080))
            sock.settimeout(PATIENCE)
            if kind is socket.SOCK_STREAM:
                sock.listen()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as entered:
        yield entered


@pytest.fixture
def addressed(network_namespace: None) -> None:
    """The machine has addresses of its own, by which it can be masqueraded."""
    for command in ("address add 192.0.2.9/32 dev lo", "-6 address add 2001:db8::9/128 dev lo nodad"):
        subprocess.run(["ip", *command.split()], check=True, timeout=20)


def without(served: Pool, address: str) -> Pool:
    return msgspec.structs.replace(served, targets=tuple(each for each in served.targets if each.address != address))


@pytest.mark.requires("ip")
@pytest.mark.usefixtures("addressed")
@pytest.mark.parametrize("network", PLACES)
def test_connections_take_turns(make_path: MakePath, stack: ExitStack, network: str) -> None:
    endpoints = Endpoints(stack, network, socket.SOCK_STREAM)
    path = make_path()
    path.apply(Delta(pools=(pool(network=network),), frontends=(frontend(PLACES[network]),)))
    for _ in range(6):
        client = stack.enter_context(socket.create_connection((PLACES[network], 80), PATIENCE))
        assert client.getpeername()[0] == PLACES[network]
    path.close()
    accepted = Counter(accepter(endpoints) for _ in range(6))
    assert accepted == dict.fromkeys(endpoints.sockets, 2)


def accepter(endpoints: Endpoints) -> str:
    """Who accepts the next connection."""
    address, sock = ready(endpoints)
    sock.accept()[0].close()
    return address


def ready(endpoints: Endpoints) -> tuple[str, socket.socket]:
    """The endpoint that something comes to next."""
    found = select.select(endpoints.sockets.values(), (), (), PATIENCE)[0]
    assert found, "nothing came"
    return next((address, sock) for address, sock in endpoints.sockets.items() if sock is found[0])


@pytest.mark.requires("ip")
@pytest.mark.usefixtures("addressed")
@pytest.mark.parametrize("network", PLACES)
def test_a_udp_flow_leaves_an_endpoint_that_left(make_path: MakePath, stack: ExitStack, network: str) -> None:
    endpoints = Endpoints(stack, network, socket.SOCK_DGRAM)
    path = make_path()
    served = pool(network=network, protocol="UDP")
    path.apply(Delta(pools=(served,), frontends=(frontend(PLACES[network], 53, protocol="UDP"),)))
    family = socket.AF_INET6 if ":" in network else socket.AF_INET
    client = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
    client.connect((PLACES[network], 53))
    reached = []
    for _ in range(3):
        client.send(b"question")
        reached.append(receiver(endpoints))
        path.apply(Delta(pools=(without(served, reached[0]),)))
    assert reached[1] == reached[2] != reached[0]


def receiver(endpoints: Endpoints) -> str:
    """Who gets the datagram."""
    address, sock = ready(endpoints)
    sock.recv(100)
    return address
