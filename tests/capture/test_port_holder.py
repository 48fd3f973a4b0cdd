"""Who holds a port, asked of the real system with real sockets."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import psutil
import pytest

from proxy.capture.port_holder import holder_of, holders_of
from tests.lane import free_port

KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


@contextmanager
def bound(protocol: str, address: str) -> Iterator[int]:
    """A socket of this process on a port of `address` that nobody else has, on any address; gives the port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, KINDS[protocol]) as holder:
        if protocol == "TCP":
            # The port may have had connections of earlier tests, which linger.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((address, free_port()))
        if protocol == "TCP":
            holder.listen()
        yield holder.getsockname()[1]


@pytest.fixture
def this_process() -> str:
    return f"{psutil.Process().name()} (pid {os.getpid()})"


@pytest.mark.parametrize("protocol", KINDS)
@pytest.mark.parametrize(
    ("held", "asked"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.9", "0.0.0.0"),
        ("0.0.0.0", "127.0.0.9"),
        ("0.0.0.0", "0.0.0.0"),
        ("::1", "::1"),
        ("::1", "::"),
        ("::", "::1"),
        ("::", "127.0.0.1"),
        ("127.0.0.1", "::"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
    ],
)
def test_names_the_process_in_the_way(protocol: str, held: str, asked: str, this_process: str) -> None:
    with bound(protocol, held) as port:
        assert holder_of(protocol, asked, port) == this_process


@pytest.mark.parametrize("protocol", KINDS)
@pytest.mark.parametrize(
    ("held", "asked"),
    [("127.0.0.1", "127.0.0.2"), ("::1", "127.0.0.1"), ("127.0.0.1", "::1"), ("::1", "0.0.0.0"), ("0.0.0.0", "::1")],
)
def test_a_socket_on_another_address_is_not_in_the_way(protocol: str, held: str, asked: str) -> None:
    with bound(protocol, held) as port:
        assert holder_of(protocol, asked, port) is None


@pytest.mark.parametrize(("held", "asked"), [("TCP", "UDP"), ("UDP", "TCP")])
def test_a_socket_of_the_other_protocol_is_not_in_the_way(held: str, asked: str) -> None:
    with bound(held, "127.31.7.1") as port:
        assert holder_of(asked, "127.31.7.1", port) is None


def test_a_connection_is_not_a_holder() -> None:
    with socket.create_server(("127.31.7.2", 0)) as listener, socket.socket() as client:
        client.bind(("127.31.7.3", 0))
        client.connect(listener.getsockname())
        assert holder_of("TCP", "127.31.7.3", client.getsockname()[1]) is None


def test_names_a_process_other_than_ours() -> None:
    program = (
        "import socket, sys\n"
        "with socket.create_server(('127.0.0.1', 0)) as listener:\n"
        "    print(listener.getsockname()[1], flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        holder = holder_of("TCP", "127.0.0.1", port)
        assert holder == f"{psutil.Process(child.pid).name()} (pid {child.pid})"
        assert child.pid != os.getpid()
        child.communicate()
    assert holder_of("TCP", "127.0.0.1", port) is None


def test_the_exact_address_is_named_before_a_wildcard(monkeypatch: pytest.MonkeyPatch, this_process: str) -> None:
    sockets = [listening("::", 1), listening("0.0.0.0", 1), listening("127.0.0.1", os.getpid())]
    monkeypatch.setattr(psutil, "net_connections", lambda kind: sockets)
    assert holder_of("TCP", "127.0.0.1", 80) == this_process


def test_the_same_family_is_named_before_the_other(monkeypatch: pytest.MonkeyPatch, this_process: str) -> None:
    sockets = [listening("::", 1), listening("0.0.0.0", os.getpid())]
    monkeypatch.setattr(psutil, "net_connections", lambda kind: sockets)
    assert holder_of("TCP", "127.0.0.1", 80) == this_process


def test_a_holder_that_may_not_be_seen_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "net_connections", lambda kind: [listening("127.0.0.1", None)])
    assert holder_of("TCP", "127.0.0.1", 80) is None


def test_a_system_that_tells_nothing_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(kind: str) -> list[object]:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", deny)
    assert holder_of("TCP", "127.0.0.1", 80) is None


def test_a_holder_that_is_gone_by_now_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    monkeypatch.setattr(psutil, "net_connections", lambda kind: [listening("127.0.0.1", child.pid)])
    assert holder_of("TCP", "127.0.0.1", 80) is None


def listening(address: str, pid: int | None) -> SimpleNamespace:
    """A row as psutil gives it."""
    return SimpleNamespace(status=psutil.CONN_LISTEN, pid=pid, laddr=SimpleNamespace(ip=address, port=80))


def test_the_holders_of_many_ports_take_one_look(monkeypatch: pytest.MonkeyPatch, this_process: str) -> None:
    looks: list[str] = []

    def look(kind: str) -> list[object]:
        looks.append(kind)
        return [listening("127.0.0.1", os.getpid())]

    monkeypatch.setattr(psutil, "net_connections", look)
    places = [("127.0.0.1", 80), ("0.0.0.0", 80), ("127.0.0.2", 80), ("127.0.0.1", 81)]
    assert holders_of("TCP", places) == dict.fromkeys(places[:2], this_process)
    assert looks == ["tcp"]
