"""Sockets that take a few kilobytes: no byte is lost, doubled or out of order."""

import os
import signal
from contextlib import ExitStack

import psutil
import pytest

from tests.hostile.accounts import Accounts
from tests.hostile.checked_datagrams import NONE_LOST, checked_datagrams
from tests.hostile.checked_streams import CheckedStream, carry, checked_echo
from tests.hostile.conftest import NodePorts
from tests.hostile.network import Network
from tests.system.harness.backends import Backend, StartBackends, plain_echo_backend
from tests.system.harness.eventually import eventually
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

HERE = "127.0.0.1"
TINY = ["4096 4096 4096", "16384 16384 16384"]


def stopped(proxy: Svcproxy) -> psutil.Process:
    """The worker, which takes no step until it is resumed: what clients say meanwhile is there at the accept."""
    (worker,) = proxy.workers()
    os.kill(worker.pid, signal.SIGSTOP)
    eventually(lambda: worker.status() == psutil.STATUS_STOPPED, "a worker that stands still")
    return worker


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


@pytest.mark.parametrize("first", [5000, 16_384, 20_800])
@pytest.mark.parametrize("size", TINY)
def test_what_was_said_before_the_accept_arrives_whole_and_first(
    network: Network,
    svcproxy: StartSvcproxy,
    backend_stack: ExitStack,
    places: Places,
    node_ports: NodePorts,
    size: str,
    first: int,
) -> None:
    """The first send is partial: the rest is held, and what the client says next comes behind it."""
    address = places.address()
    manifests, number = node_ports("web", address)
    proxy = svcproxy(manifests)
    # The frontend's socket takes as much as any; the backend's, and the proxy's own to it, do not.
    network.sysctl("ipv4.tcp_rmem", "8192 8192 8192")
    backend_stack.enter_context(plain_echo_backend("a", address))
    accounts = Accounts(proxy)
    with ExitStack() as stack:
        worker = stopped(proxy)
        streams = [CheckedStream(HERE, number, 60_000, seed) for seed in range(4)]
        for stream in streams:
            stack.enter_context(stream.socket)
            stream.begin(first)
        network.sysctl("ipv4.tcp_wmem", size)
        worker.resume()
        carried = carry(streams)
    accounts.settle(4, carried, carried)


def test_datagrams_are_answered_beside_them(
    network: Network, svcproxy: StartSvcproxy, udp_backends: StartBackends, node_ports: NodePorts
) -> None:
    network.sysctl("ipv4.tcp_wmem", TINY[0])
    manifests, number = node_ports("dns", *addresses(udp_backends("a")), protocol="UDP")
    svcproxy(manifests)
    assert checked_datagrams(HERE, number, clients=4, each=20, patience=NONE_LOST) == 80
