"""The gate: which state a frontend asks for, and what its socket then does with sources."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from proxy.capture.gate import Gate, filter_sources, gate_of, let_in
from proxy.plan.frontend import Frontend, FrontendKey


def frontend(when_empty: str = "refuse", **more: Any) -> Frontend:
    return Frontend(FrontendKey("UDP", "127.0.0.1", 53), "dns", "default/dns", "LoadBalancer", when_empty, **more)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


def hears(server: socket.socket, source: str) -> bool:
    """Whether a datagram from the address arrives; on loopback it is there when send returns."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((source, 0))
        client.sendto(b"x", server.getsockname())
    try:
        return server.recv(10) == b"x"
    except BlockingIOError:
        return False


@pytest.mark.parametrize(
    ("when_empty", "usable", "gate"),
    [
        ("refuse", True, Gate.OPEN),
        ("drop", True, Gate.OPEN),
        ("refuse", False, Gate.REFUSED),
        ("drop", False, Gate.DROPPED),
    ],
)
def test_an_unusable_pool_shuts_the_gate_as_the_frontend_asks(when_empty: str, usable: bool, gate: Gate) -> None:
    assert gate_of(frontend(when_empty), usable) is gate


def test_only_the_ranges_get_in(server: socket.socket) -> None:
    filter_sources(server, let_in(frontend(source_ranges=("127.0.0.2/32",)), Gate.OPEN))
    assert hears(server, "127.0.0.2")
    assert not hears(server, "127.0.0.3")


def test_nobody_gets_in_while_dropping_whatever_the_ranges(server: socket.socket) -> None:
    filter_sources(server, let_in(frontend(source_ranges=("127.0.0.2/32",)), Gate.DROPPED))
    assert not hears(server, "127.0.0.2")


@pytest.mark.parametrize("before", [Gate.OPEN, Gate.DROPPED])
def test_everybody_gets_in_without_ranges(server: socket.socket, before: Gate) -> None:
    filter_sources(server, let_in(frontend(), before))
    filter_sources(server, let_in(frontend(), Gate.OPEN))
    assert hears(server, "127.0.0.3")


def test_clients_of_this_machine_get_in_while_others_meet_silence(server: socket.socket) -> None:
    local = frontend("drop", own_pool="all", own_sources=("127.0.0.2/32", "127.0.0.3/32"))
    filter_sources(server, let_in(local, Gate.DROPPED))
    assert hears(server, "127.0.0.2")
    assert not hears(server, "127.0.0.4")


@pytest.mark.parametrize(
    ("gate", "ranges", "own", "expected"),
    [
        (Gate.OPEN, (), ("10.0.0.0/8",), None),
        (Gate.OPEN, ("10.0.0.0/8",), ("10.0.0.1/32",), ("10.0.0.0/8",)),
        (Gate.DROPPED, (), (), ()),
        (Gate.DROPPED, ("10.0.0.0/8",), (), ()),
        (Gate.DROPPED, ("10.0.0.0/8",), ("10.0.0.1/32", "11.0.0.1/32"), ("10.0.0.1/32",)),
        (Gate.DROPPED, ("10.0.0.0/24", "fd00::/8"), ("10.0.0.0/8", "fd00::1/128"), ("10.0.0.0/24", "fd00::1/128")),
    ],
)
def test_who_is_let_in(gate: Gate, ranges: tuple[str, ...], own: tuple[str, ...], expected: object) -> None:
    assert let_in(frontend("drop", source_ranges=ranges, own_pool="all", own_sources=own), gate) == expected


def test_nobody_gets_in_where_the_ranges_are_too_many_for_the_kernel(
    server: socket.socket,
) -> None:
    many = tuple(f"10.{high}.{low}.0/25" for high in range(8) for low in range(256))
    with pytest.raises(OSError, match=r"nobody is let in: 2049 source ranges .*: use fewer or wider source ranges"):
        filter_sources(server, let_in(frontend(source_ranges=("127.0.0.2/32", *many)), Gate.OPEN))
    assert not hears(server, "127.0.0.2")
