"""Datagrams that meet a refusal, no endpoint, no descriptor or no room: where they go, and how that is counted."""

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path
from socket import SocketType
from typing import Any

import pytest

from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.udp_flow import UdpFlow
from proxy.plan.frontend import Target
from proxy.shared_counts.layout import PoolCell
from tests.dataplane.datagrams import Asking, Client, StartServer, dns
from tests.lane import free_port


def failed(data_plane: Any) -> dict[str, int]:
    """How many datagrams began no flow, by reason."""
    counts = data_plane.worker.balancer("dns").tally.counts
    found = {reason.value: counts[PoolCell.FAILED + reason.number] for reason in CloseReason}
    return {reason: count for reason, count in found.items() if count}


async def until_failed(data_plane: Any, **counts: int) -> None:
    async with asyncio.timeout(10):
        while failed(data_plane) != counts:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)


def deaf() -> Target:
    """An address where nobody listens, so that ICMP refuses."""
    return Target("127.0.0.1", free_port())


async def test_after_a_refusal_the_client_goes_to_another_endpoint(
    data_plane: Any, server: StartServer, client: Client
) -> None:
    key = data_plane.serve(dns(data_plane, deaf(), await server("a")))
    one, answers = client(key), client(key)
    # Whichever of the two met the deaf endpoint, a later datagram of it is answered.
    for each in (one, answers):
        each.socket.send(b"lost?")
    await asyncio.sleep(0)
    (record,) = await data_plane.records_of(1)
    assert record["reason"] == "connect_refused"
    for each in (one, answers):
        each.socket.send(b"!")
        async with asyncio.timeout(10):
            while await each.answer() != b"a!":
                pass


async def test_a_refusal_that_the_next_datagram_finds_costs_that_datagram_nothing(
    data_plane: Any, server: StartServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The flow does not hear of the refusal by itself, so the client's next datagram is what meets it.
    monkeypatch.setattr(
        UdpFlow, "ready", lambda flow, mask: data_plane.resources.reactor.unwatch(flow._socket.fileno())
    )
    key = data_plane.serve(dns(data_plane, deaf()))
    one = client(key)
    one.socket.send(b"first")
    async with asyncio.timeout(10):
        while not data_plane.resources.flows:  # noqa: ASYNC110 - nothing announces a flow
            await asyncio.sleep(0)
    (flow,) = data_plane.worker._listeners[key].flows.values()
    monkeypatch.undo()
    good = await server("a")
    data_plane.worker._listeners[key].balancer.update(dns(data_plane, Target(*flow.upstream.sockaddr), good), None)
    assert await one.ask(b"second") == b"asecond"
    (record,) = data_plane.records()
    assert (record["reason"], record["bytesIn"]) == ("connect_refused", 5)


async def test_a_client_is_told_nothing_where_every_endpoint_refuses(data_plane: Any, client: Client) -> None:
    key = data_plane.serve(dns(data_plane, deaf(), deaf()))
    one = client(key)
    for count in (1, 2, 3):
        one.socket.send(b"x")
        await data_plane.records_of(count)
    assert {record["reason"] for record in data_plane.records()} == {"connect_refused"}
    assert all(upstream.active == 0 for upstream in data_plane.worker.balancer("dns").upstreams)


async def test_an_endpoint_without_a_route_is_replaced_for_the_same_datagram(
    data_plane: Any, server: StartServer, client: Client
) -> None:
    # Nobody may send to the broadcast address without asking for it: connect itself fails.
    nowhere = Target("255.255.255.255", 9)
    key = data_plane.serve(dns(data_plane, nowhere, await server("a")))
    assert [await client(key).ask() for _ in range(2)] == [b"a", b"a"]
    assert failed(data_plane) == {}


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_datagram_that_begins_no_flow_is_counted_by_what_kept_it(
    data_plane: Any, server: StartServer, client: Client, address: str
) -> None:
    nowhere, drained = Target("255.255.255.255", 9), Target("127.0.0.1", 9, weight=0)
    key = data_plane.serve(dns(data_plane, nowhere), address)
    client(key).socket.send(b"lost")
    await until_failed(data_plane, connect_unreachable=1)
    data_plane.change(dns(data_plane, drained))
    client(key).socket.send(b"lost, too")
    client(key).socket.send(b"and this one")
    await until_failed(data_plane, connect_unreachable=1, no_endpoints=2)
    data_plane.change(dns(data_plane, await server("a")))
    assert await client(key).ask() == b"a"
    assert failed(data_plane) == {"connect_unreachable": 1, "no_endpoints": 2}


async def test_a_datagram_without_a_descriptor_for_its_flow_is_counted(
    make_data_plane: Callable[..., Any], server: StartServer, client: Client
) -> None:
    data_plane = make_data_plane(descriptors=1)
    key = data_plane.serve(dns(data_plane, await server()))
    client(key).socket.send(b"lost")
    await until_failed(data_plane, descriptor_limit=1)


async def test_a_system_without_descriptors_is_no_fault_of_the_endpoint(
    data_plane: Any,
    server: StartServer,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = data_plane.serve(dns(data_plane, await server()))
    refused: list[int] = []

    def refuse(*arguments: object) -> SocketType:
        refused.append(1)
        raise OSError(errno.EMFILE, "Too many open files")

    asking = client(key)
    with monkeypatch.context() as patched:
        patched.setattr("proxy.dataplane.udp_flow.SocketType", refuse)
        asking.socket.send(b"lost")
        async with asyncio.timeout(10):
            while not refused:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0)
    (upstream,) = data_plane.worker.balancer("dns").upstreams
    assert (upstream.failures, upstream.active) == (0, 0)
    assert "Too many open files" in caplog.text
    assert failed(data_plane) == {"descriptor_limit": 1}
    assert await asking.ask(b"heard") == b"heard"


@pytest.mark.parametrize("bounds", [{"flows": 2}, {"descriptors": 3}])
async def test_the_flow_that_was_idle_for_longest_makes_room(
    make_data_plane: Any, server: StartServer, client: Client, bounds: dict[str, int]
) -> None:
    data_plane = make_data_plane(**bounds)
    key = data_plane.serve(dns(data_plane, await server(), idle_timeout=60.0))
    first, second, third = client(key), client(key), client(key)
    for asking in (first, second, first, third):
        await asking.ask()
    (record,) = data_plane.records()
    host, port = second.socket.getsockname()
    assert (record["reason"], record["client"]) == ("flow_evicted", f"{host}:{port}")
    assert await first.ask(b"still here") == b"still here"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_client_does_not_get_its_own_words_back_from_an_endpoint_that_is_down(
    network_namespace: None, data_plane: Any, client: Client, host: str
) -> None:
    """The kernel may give the port of an endpoint of this machine to the very socket that asks it."""
    start = 40_000
    key = data_plane.serve(dns(data_plane, *(Target(host, start + offset) for offset in range(4))), host)
    askings = [client(key) for _ in range(60)]
    give_ports(start, start + 3)
    for asking in askings:
        asking.socket.send(b"echo?")
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        while sum(failed(data_plane).values()) + len(data_plane.records()) < len(askings):  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert [asking for asking in askings if is_answered(asking)] == []
    assert {record["bytesOut"] for record in data_plane.records()} <= {0}


def give_ports(first: int, last: int) -> None:
    """The kernel chooses among these from now on, in this namespace."""
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(f"{first} {last}")


def is_answered(asking: Asking) -> bool:
    try:
        return bool(asking.socket.recv(100))
    except BlockingIOError:
        return False
