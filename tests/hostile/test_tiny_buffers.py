"""Sockets that take a few kilobytes: no byte is lost, doubled or out of order."""

import pytest

from tests.hostile.accounts import Accounts
from tests.hostile.checked_datagrams import checked_datagrams
from tests.hostile.checked_streams import checked_echo
from tests.hostile.conftest import NodePorts
from tests.hostile.network import Network
from tests.system.harness.backends import Backend, StartBackends
from tests.system.harness.svcproxy import StartSvcproxy

HERE = "127.0.0.1"
TINY = ["4096 4096 4096", "16384 16384 16384"]


def addresses(backends: list[Backend]) -> list[str]:
    return [backend.address for backend in backends]


@pytest.mark.parametrize("size", TINY)
@pytest.mark.parametrize("buffer", ["tcp_wmem", "tcp_rmem"])
def test_streams_arrive_whole(
    network: Network,
    svcproxy: StartSvcproxy,
    plain_echo_backends: StartBackends,
    node_ports: NodePorts,
    buffer: str,
    size: str,
) -> None:
    network.sysctl(f"ipv4.{buffer}", size)
    manifests, number = node_ports("web", *addresses(plain_echo_backends("a", "b")))
    proxy = svcproxy(manifests)
    accounts = Accounts(proxy)
    carried = checked_echo(HERE, number, streams=6, size=150_000)
    accounts.settle(6, carried, carried)


def test_datagrams_are_answered_beside_them(
    network: Network, svcproxy: StartSvcproxy, udp_backends: StartBackends, node_ports: NodePorts
) -> None:
    network.sysctl("ipv4.tcp_wmem", TINY[0])
    manifests, number = node_ports("dns", *addresses(udp_backends("a")), protocol="UDP")
    svcproxy(manifests)
    assert checked_datagrams(HERE, number, clients=4, each=20) == 80
