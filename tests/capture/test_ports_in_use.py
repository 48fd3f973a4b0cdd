"""Which ports the kernel says are in use, beside sockets that are."""

import socket

import pytest

from proxy.capture.ports_in_use import ports_in_use

pytestmark = pytest.mark.requires("ip")

LOOPBACK = pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"]
)


@LOOPBACK
def test_a_tcp_port_is_in_use_while_somebody_listens(
    network_namespace: None, family: socket.AddressFamily, address: str
) -> None:
    with socket.create_server((address, 0), family=family) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection((address, port)):
            assert ports_in_use() == {"TCP": {port}, "UDP": frozenset()}
    assert ports_in_use()["TCP"] == frozenset()


@LOOPBACK
def test_a_udp_port_is_in_use_while_a_socket_has_it_connected_or_not(
    network_namespace: None, family: socket.AddressFamily, address: str
) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as bound, socket.socket(family, socket.SOCK_DGRAM) as connected:
        bound.bind((address, 0))
        connected.connect(bound.getsockname())
        ports = {sock.getsockname()[1] for sock in (bound, connected)}
        assert ports_in_use() == {"TCP": frozenset(), "UDP": ports}


def test_an_answer_longer_than_a_datagram_is_read_whole(network_namespace: None) -> None:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(900)]
    assert ports_in_use()["TCP"] == {listener.getsockname()[1] for listener in listeners}
    for listener in listeners:
        listener.close()
