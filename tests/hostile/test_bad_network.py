"""Backends behind a slow wire that loses packets, and readers that stand still."""

import pytest

from tests.hostile.accounts import Accounts
from tests.hostile.checked_datagrams import checked_datagrams
from tests.hostile.checked_streams import checked_echo
from tests.hostile.conftest import NodePorts
from tests.hostile.network import Network
from tests.system.harness.backends import plain_echo_backend, udp_backend
from tests.system.harness.svcproxy import StartSvcproxy

HERE = "127.0.0.1"


@pytest.mark.parametrize(("delay", "loss"), [(0.001, 0.0), (0.005, 0.01)])
def test_streams_to_a_far_backend_arrive_whole(
    network: Network, svcproxy: StartSvcproxy, node_ports: NodePorts, delay: float, loss: float
) -> None:
    far = network.far_host(delay, loss)
    manifests, number = node_ports("web", far.address)
    proxy = svcproxy(manifests)
    accounts = Accounts(proxy)
    with far.entered():
        backend = plain_echo_backend("a", far.address)
    with backend:
        carried = checked_echo(HERE, number, streams=4, size=150_000)
        accounts.settle(4, carried, carried)
    assert far.wire.carried


def test_datagrams_to_a_far_backend_are_answered_or_lost(
    network: Network, svcproxy: StartSvcproxy, node_ports: NodePorts
) -> None:
    far = network.far_host(0.001, 0.02)
    manifests, number = node_ports("dns", far.address, protocol="UDP")
    svcproxy(manifests)
    with far.entered():
        backend = udp_backend("a", far.address)
    with backend:
        answered = checked_datagrams(HERE, number, clients=4, each=50)
        assert 200 - far.wire.lost <= answered <= 200
