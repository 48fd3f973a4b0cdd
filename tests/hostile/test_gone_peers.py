"""Peers whose machine vanishes, readers that never read, and halves that are never closed."""

import os
import selectors
import signal
import socket
from contextlib import ExitStack

import pytest

from tests.hostile.accounts import Accounts, sample
from tests.hostile.conftest import NodePorts
from tests.hostile.network import Network
from tests.system.harness.backends import StartBackends
from tests.system.harness.eventually import eventually
from tests.system.harness.svcproxy import StartSvcproxy

HERE = "127.0.0.1"
LARGEST_PIPE = 1024 * 1024
"""What one direction may add at once, while there is room."""
KEEP_ALIVE = {"tcpKeepAlive": {"idle": "1s", "interval": "1s", "count": 2}}
"""A peer that is gone is found out after three seconds."""


def listening(host: str) -> socket.socket:
    return socket.create_server((host, 7007))


def is_reset(sock: socket.socket) -> bool:
    """Whether the far side ended the connection with a reset; waits for its end."""
    sock.settimeout(40)
    try:
        sock.recv(1)
    except ConnectionResetError:
        return True
    return False


def test_an_endpoint_learns_that_its_client_is_gone(
    network: Network, svcproxy: StartSvcproxy, node_ports: NodePorts
) -> None:
    far = network.far_host()
    manifests, number = node_ports("web", HERE)
    proxy = svcproxy(manifests, configuration=KEEP_ALIVE)
    accounts = Accounts(proxy)
    with ExitStack() as stack:
        server = stack.enter_context(listening(HERE))
        with far.entered():
            client = stack.enter_context(socket.create_connection((far.near_address, number), 10))
        client.sendall(b"hi")
        taken, _ = server.accept()
        stack.enter_context(taken)
        assert taken.recv(2) == b"hi"
        far.wire.cut()
        assert is_reset(taken)
    eventually(lambda: accounts.endings() == {"client_timed_out": 1}, "the reason")
    accounts.settle_descriptors()


def test_a_client_learns_that_its_endpoint_is_gone(
    network: Network, svcproxy: StartSvcproxy, node_ports: NodePorts
) -> None:
    far = network.far_host()
    manifests, number = node_ports("web", far.address)
    proxy = svcproxy(manifests, configuration=KEEP_ALIVE)
    accounts = Accounts(proxy)
    with ExitStack() as stack:
        with far.entered():
            server = stack.enter_context(listening(far.address))
        client = stack.enter_context(socket.create_connection((HERE, number), 10))
        client.sendall(b"hi")
        taken, _ = server.accept()
        stack.enter_context(taken)
        assert taken.recv(2) == b"hi"
        far.wire.cut()
        assert is_reset(client)
    eventually(lambda: accounts.endings() == {"backend_timed_out": 1}, "the reason")
    accounts.settle_descriptors()


def test_a_stream_of_a_worker_that_is_killed_does_not_look_complete(
    network: Network, svcproxy: StartSvcproxy, node_ports: NodePorts
) -> None:
    manifests, number = node_ports("web", HERE)
    proxy = svcproxy(manifests)
    with ExitStack() as stack:
        server = stack.enter_context(listening(HERE))
        clients = [stack.enter_context(socket.create_connection((HERE, number), 10)) for _ in range(20)]
        for _ in clients:
            taken = stack.enter_context(server.accept()[0])
            taken.sendall(b"half of it")
        for client in clients:
            assert client.recv(10, socket.MSG_WAITALL) == b"half of it"
        (worker,) = proxy.workers()
        os.kill(worker.pid, signal.SIGKILL)
        assert all(is_reset(client) for client in clients)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_connection_of_which_one_half_is_closed_ends_when_it_is_silent_for_long(
    network: Network, svcproxy: StartSvcproxy, node_ports: NodePorts, workers: int
) -> None:
    manifests, number = node_ports("web", HERE)
    proxy = svcproxy(manifests, configuration={"tcpHalfClosedTimeout": "1s", "workers": workers})
    with ExitStack() as stack:
        server = stack.enter_context(listening(HERE))
        half = stack.enter_context(socket.create_connection((HERE, number), 10))
        whole = stack.enter_context(socket.create_connection((HERE, number), 10))
        taken = [stack.enter_context(server.accept()[0]) for _ in range(2)]
        half.shutdown(socket.SHUT_WR)
        assert is_reset(half)
        whole.sendall(b"x")
        assert b"x" in {each.recv(1) for each in taken}
    assert sample(proxy, "connections_closed_total", reason="idle_timeout") == 1


def test_all_that_is_held_for_slow_readers_has_a_bound(
    network: Network, svcproxy: StartSvcproxy, node_ports: NodePorts, plain_echo_backends: StartBackends
) -> None:
    """Forty clients send for ever and read nothing; a forty-first is served beside them."""
    capacity = 1024 * 1024
    (backend,) = plain_echo_backends("a")
    manifests, number = node_ports("web", backend.address)
    proxy = svcproxy(manifests, configuration={"bufferBytes": capacity})
    with ExitStack() as stack:
        stuck = [stack.enter_context(socket.create_connection((HERE, number), 10)) for _ in range(40)]
        fill(stuck)
        assert sample(proxy, "worker_buffer_limit_bytes", worker="0") == capacity

        assert 0 < sample(proxy, "worker_buffered_bytes", worker="0") < capacity + 2 * 41 * 2048 + LARGEST_PIPE
        with socket.create_connection((HERE, number), 10) as lively:
            lively.settimeout(20)
            lively.sendall(b"hello")
            assert lively.recv(5, socket.MSG_WAITALL) == b"hello"
    eventually(lambda: sample(proxy, "worker_buffered_bytes", worker="0") == 0, "nothing held")


def fill(clients: list[socket.socket]) -> None:
    """Send until none of them takes more, for a second in which nothing moves."""
    data = bytes(65536)
    with selectors.DefaultSelector() as selector:
        for client in clients:
            client.setblocking(False)
            selector.register(client, selectors.EVENT_WRITE, client)
        for _ in range(100_000):
            ready = selector.select(1.0)
            if not ready:
                return
            for key, _events in ready:
                key.data.send(data)
    raise AssertionError("they take everything")
