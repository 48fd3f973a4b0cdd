"""What flows and clients meet between two steps of a message."""

from typing import Any

from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.steps import take_all
from proxy.plan.frontend import Delta
from tests.dataplane.datagrams import Client, StartServer, dns


async def test_while_flows_of_an_endpoint_that_left_end_new_ones_go_elsewhere(
    data_plane: Any, server: StartServer, client: Client
) -> None:
    leaving, staying = await server("a"), await server("b")
    key = data_plane.serve(dns(data_plane, leaving, staying))
    clients = [client(key) for _ in range(6)]
    assert sorted([await one.ask() for one in clients]) == [b"a"] * 3 + [b"b"] * 3
    steps = iter(data_plane.steps(Delta(pools=(dns(data_plane, staying),)), {}))
    next(steps)
    assert len(data_plane.resources.flows) == 5
    assert [await client(key).ask() for _ in range(3)] == [b"b"] * 3
    take_all(steps)
    assert len(data_plane.resources.flows) == 6
    assert [await one.ask() for one in clients] == [b"b"] * 6


async def test_while_a_listener_closes_no_flow_begins_and_those_that_are_left_are_answered(
    data_plane: Any, server: StartServer, client: Client
) -> None:
    key = data_plane.serve(dns(data_plane, await server("a")))
    clients = [client(key) for _ in range(3)]
    for one in clients:
        assert await one.ask() == b"a"
    (*_, last) = data_plane.resources.flows
    steps = iter(data_plane.steps(Delta(removed_frontends=(key,), removed_pools=("dns",)), {}))
    next(steps)
    client(key).socket.send(b"late")
    last.send(b"!")
    assert await clients[-1].answer() == b"a!"
    assert len(data_plane.resources.flows) == 2
    take_all(steps)
    assert len(data_plane.resources.flows) == 0


async def test_a_connection_that_ends_while_an_idle_limit_comes_is_not_kept_for_it(
    data_plane: Any, backends: Any, connect: Any
) -> None:
    target = await backends.echo()
    key = data_plane.serve(data_plane.pool(target))
    for _ in range(3):
        reader, writer = await connect(key)
        writer.write(b"x")
        await reader.readexactly(1)
    steps = iter(data_plane.steps(Delta(pools=(data_plane.pool(target, idle_timeout=60.0),)), {}))
    next(steps)
    _, second, third = data_plane.resources.relays
    second.end(CloseReason.SHUTDOWN)
    take_all(steps)
    assert second not in data_plane.resources.idle
    assert third in data_plane.resources.idle
