"""Steering: the kernel runs the program, and a client meets the worker that the formula says, whatever its port."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from typing import Any

import pytest

from proxy.capture.listening_group import ListeningGroup, open_group
from proxy.capture.steering import ANY_WORKER, must_steer, steered_to, worker_of
from proxy.plan.frontend import Frontend, FrontendKey, Pool, Target
from proxy.schedulers.registry import names
from tests.lane import free_port

WIDTH = 3
HERE = Target("127.0.0.1", 9)


def pool(*targets: Target, affinity: int = 0, scheduler: str = "rr") -> Pool:
    return Pool("web", "default/web", "", "TCP", scheduler, "web", affinity, 5.0, 0.0, targets)


def frontend(key: FrontendKey, **changes: Any) -> Frontend:
    return Frontend(key, "web", "default/web", "NodePort", **changes)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def group_of(stack: ExitStack, key: FrontendKey) -> ListeningGroup:
    group = open_group(key, WIDTH)
    stack.callback(group.close)
    return group


def accepted_by(group: ListeningGroup, key: FrontendKey, source: str) -> int:
    """The number of the socket that a client meets."""
    if key.protocol == "TCP":
        client = socket.create_connection((key.address, key.port), 10, (source, 0))
    else:
        client = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET, socket.SOCK_DGRAM)
        client.bind((source, 0))
        client.sendto(b"x", (key.address, key.port))
    with client:
        for number, sock in enumerate(group.sockets):
            try:
                if key.protocol == "TCP":
                    sock.accept()[0].close()
                else:
                    sock.recv(1)
            except BlockingIOError:
                continue
            return number
    raise AssertionError("nobody has the client")


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_a_client_meets_one_socket_whatever_its_port(stack: ExitStack, protocol: str) -> None:
    key = FrontendKey(protocol, "127.0.0.1", free_port())
    group = group_of(stack, key)
    group.settle(frontend(key), pool(HERE, affinity=60))
    for number in range(1, 30):
        source = f"127.0.0.{number}"
        wanted = steered_to(ip_address(source).packed, WIDTH)
        assert {accepted_by(group, key, source) for _ in range(3)} == {wanted}


def test_ipv6_clients_are_steered(stack: ExitStack) -> None:
    key = FrontendKey("TCP", "::1", free_port())
    group = group_of(stack, key)
    group.settle(frontend(key), pool(HERE, affinity=60))
    wanted = steered_to(ip_address("::1").packed, WIDTH)
    assert {accepted_by(group, key, "::1") for _ in range(9)} == {wanted}


def test_steering_outlives_refusal_and_ends_with_affinity(stack: ExitStack) -> None:
    key = FrontendKey("TCP", "127.0.0.1", free_port())
    group = group_of(stack, key)
    sources = [f"127.0.0.{number}" for number in range(1, 20)]
    wanted = [steered_to(ip_address(source).packed, WIDTH) for source in sources]
    group.settle(frontend(key), pool(HERE, affinity=60))
    for _ in range(3):
        group.settle(frontend(key), pool(affinity=60))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((key.address, key.port), 10)
        group.settle(frontend(key), pool(HERE, affinity=60))
        assert [accepted_by(group, key, source) for source in sources] == wanted
    group.settle(frontend(key), pool(HERE))
    assert len({accepted_by(group, key, "127.0.0.1") for _ in range(60)}) == WIDTH


def test_affinity_that_comes_while_clients_are_refused_is_there_when_they_are_served(stack: ExitStack) -> None:
    key = FrontendKey("TCP", "127.0.0.1", free_port())
    group = group_of(stack, key)
    group.settle(frontend(key), pool())
    group.settle(frontend(key), pool(HERE, affinity=60))
    sources = [f"127.0.0.{number}" for number in range(1, 20)]
    wanted = [steered_to(ip_address(source).packed, WIDTH) for source in sources]
    assert [accepted_by(group, key, source) for source in sources] == wanted


@pytest.mark.parametrize("scheduler", ["dh", "lblc", "lblcr"])
def test_who_asks_for_one_address_meets_one_socket_whoever_it_is(stack: ExitStack, scheduler: str) -> None:
    port = free_port()
    wildcard = FrontendKey("TCP", "0.0.0.0", port)
    group = group_of(stack, wildcard)
    group.settle(frontend(wildcard), pool(HERE, scheduler=scheduler))
    for number in range(1, 20):
        asked = FrontendKey("TCP", f"127.0.1.{number}", port)
        wanted = steered_to(ip_address(asked.address).packed, WIDTH)
        assert {accepted_by(group, asked, f"127.0.0.{client}") for client in range(1, 6)} == {wanted}


def test_clients_are_spread_over_all_workers_by_all_words_of_an_address() -> None:
    for addresses in (
        [ip_address(f"10.0.{high}.{low}").packed for high in range(16) for low in range(64)],
        [ip_address(f"2001:db8::{number:x}").packed for number in range(1024)],
        [ip_address(f"2001:db8:0:{number:x}::1").packed for number in range(1024)],
        [ip_address(f"2001:{number:x}::1").packed for number in range(1024)],
    ):
        shares = [sum(steered_to(address, 4) == worker for address in addresses) for worker in range(4)]
        assert min(shares) > len(addresses) / 8


@pytest.mark.parametrize("scheduler", names())
def test_schedulers_that_choose_by_the_source_are_steered(scheduler: str) -> None:
    assert must_steer(pool(HERE, scheduler=scheduler)) is (scheduler in ("sh", "mh"))


def test_who_serves_a_client_is_known_where_it_is_sure() -> None:
    assert worker_of("10.0.0.1", pool(HERE), 1) == 0
    assert worker_of("10.0.0.1", pool(HERE), 4) == ANY_WORKER
    assert worker_of("10.0.0.1", pool(HERE, affinity=1), 4) == steered_to(ip_address("10.0.0.1").packed, 4)
