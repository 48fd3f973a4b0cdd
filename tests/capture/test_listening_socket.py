"""Listening sockets as the kernel has them."""

import os
import socket
from contextlib import ExitStack

import pytest

from proxy.capture.listening_socket import is_taken, open_listening_socket
from proxy.plan.frontend import FrontendKey
from tests.lane import free_port

PLACES = [(protocol, address) for protocol in ("TCP", "UDP") for address in ("127.0.0.1", "0.0.0.0", "::1", "::")]


def again(sock: socket.socket, address: str) -> FrontendKey:
    """A frontend on the port of a socket that is open."""
    protocol = "TCP" if sock.type == socket.SOCK_STREAM else "UDP"
    return FrontendKey(protocol, address, sock.getsockname()[1])


@pytest.mark.parametrize(("protocol", "address"), PLACES)
def test_a_socket_is_bound_as_asked_does_not_block_and_is_not_inherited(protocol: str, address: str) -> None:
    with open_listening_socket(FrontendKey(protocol, address, 0)) as sock:
        assert sock.getsockname()[0] == address
        assert sock.getblocking() is False
        assert os.get_inheritable(sock.fileno()) is False
        listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        assert bool(listening) is (protocol == "TCP")


@pytest.mark.parametrize(("protocol", "address"), PLACES)
def test_a_port_is_nobody_elses(protocol: str, address: str) -> None:
    with open_listening_socket(FrontendKey(protocol, address, 0)) as sock:
        with pytest.raises(OSError, match="in use") as raised:
            open_listening_socket(again(sock, address))
        assert is_taken(raised.value)


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_the_families_do_not_get_in_each_others_way(protocol: str) -> None:
    with (
        open_listening_socket(FrontendKey(protocol, "::", free_port())) as six,
        open_listening_socket(again(six, "0.0.0.0")) as four,
    ):
        assert four.getsockname()[1] == six.getsockname()[1]


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize(("first", "second"), [("0.0.0.0", "127.0.0.9"), ("127.0.0.9", "0.0.0.0"), ("::", "::1")])
def test_a_shared_port_has_a_wildcard_and_an_address(protocol: str, first: str, second: str) -> None:
    with ExitStack() as stack:
        sock = stack.enter_context(open_listening_socket(FrontendKey(protocol, first, free_port())))
        with pytest.raises(OSError, match="in use"):
            open_listening_socket(again(sock, second))
        stack.enter_context(open_listening_socket(again(sock, second), shared=True))


def test_the_more_specific_of_two_gets_the_clients() -> None:
    with (
        open_listening_socket(FrontendKey("TCP", "0.0.0.0", free_port())) as wildcard,
        open_listening_socket(again(wildcard, "127.0.0.9"), shared=True) as specific,
        socket.create_connection(specific.getsockname()),
    ):
        specific.accept()[0].close()
        with pytest.raises(BlockingIOError):
            wildcard.accept()


def test_accepted_sockets_inherit_that_small_writes_go_out_at_once() -> None:
    with (
        open_listening_socket(FrontendKey("TCP", "127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()),
    ):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_connections_of_an_earlier_run_do_not_keep_the_port() -> None:
    with open_listening_socket(FrontendKey("TCP", "127.0.0.1", free_port())) as first:
        key = again(first, "127.0.0.1")
        with socket.create_connection(first.getsockname()):
            # The side that closes first has the connection in TIME_WAIT.
            first.accept()[0].close()
    open_listening_socket(key).close()


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_an_address_of_another_machine_is_bound_only_where_it_is_routed_here(address: str) -> None:
    with pytest.raises(OSError, match="Cannot assign"):
        open_listening_socket(FrontendKey("TCP", address, 0))
    with open_listening_socket(FrontendKey("TCP", address, 0), routed=True) as sock:
        assert sock.getsockname()[0] == address


def test_a_failed_bind_leaves_no_descriptor() -> None:
    with open_listening_socket(FrontendKey("TCP", "127.0.0.1", 0)) as sock:
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OSError, match="in use"):
            open_listening_socket(again(sock, "127.0.0.1"))
        assert len(os.listdir("/proc/self/fd")) == before
