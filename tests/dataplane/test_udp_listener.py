"""UDP listeners over real sockets: flows by client, addresses of replies, and changes."""

import asyncio
import itertools
import socket
import subprocess
from typing import Any

import pytest

from proxy.plan.frontend import Delta, Frontend
from tests.dataplane.datagrams import Client, StartServer, dns, until_readable


@pytest.mark.parametrize("size", [0, 1, 1500, 65507])
async def test_a_datagram_goes_and_returns_whole(
    data_plane: Any, server: StartServer, client: Client, size: int
) -> None:
    key = data_plane.serve(dns(data_plane, await server()))
    data = bytes(itertools.islice(itertools.cycle(range(251)), size))
    one = client(key)
    for _ in range(3):
        assert await one.ask(data) == data
    await data_plane.records_of(0)
    (upstream,) = data_plane.worker.balancer("dns").upstreams
    assert upstream.open_here == 1


@pytest.mark.parametrize(("wildcard", "asked"), [("0.0.0.0", "127.0.0.5"), ("0.0.0.0", "127.0.0.1"), ("::", "::1")])
async def test_a_reply_leaves_from_the_address_that_was_asked(
    data_plane: Any, server: StartServer, client: Client, wildcard: str, asked: str
) -> None:
    key = data_plane.serve(dns(data_plane, await server()), wildcard)
    one = client(key, asked)
    assert [await one.ask(data) for data in (b"a", b"b")] == [b"a", b"b"]


async def test_one_client_at_two_addresses_is_two_flows(data_plane: Any, server: StartServer, client: Client) -> None:
    key = data_plane.serve(dns(data_plane, await server()), "0.0.0.0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.setblocking(False)
        one.bind(("127.0.0.1", 0))
        heard = {}
        for asked in ("127.0.0.5", "127.0.0.6"):
            one.sendto(asked.encode(), (asked, key.port))
            await asyncio.wait_for(until_readable(one), 10)
            data, sender = one.recvfrom(100)
            heard[sender[0]] = data
    assert heard == {"127.0.0.5": b"127.0.0.5", "127.0.0.6": b"127.0.0.6"}
    assert len(data_plane.resources.flows) == 2


@pytest.mark.parametrize(("front", "back"), [("::1", "::1"), ("::1", "127.0.0.1"), ("127.0.0.1", "::1")])
async def test_families_mix(data_plane: Any, server: StartServer, client: Client, front: str, back: str) -> None:
    key = data_plane.serve(dns(data_plane, await server("", back)), front)
    assert await client(key).ask(b"x") == b"x"


async def test_each_client_has_a_flow_and_keeps_its_endpoint(
    data_plane: Any, server: StartServer, client: Client
) -> None:
    key = data_plane.serve(dns(data_plane, await server("a"), await server("b")))
    one, other = client(key), client(key)
    assert {await one.ask(), await other.ask()} == {b"a", b"b"}
    assert len({await one.ask() for _ in range(4)}) == 1
    assert len(data_plane.resources.flows) == 2


async def test_affinity_brings_every_port_of_a_client_to_one_endpoint(
    data_plane: Any, server: StartServer, client: Client
) -> None:
    targets = await server("a"), await server("b")
    key = data_plane.serve(dns(data_plane, *targets, affinity_seconds=60))
    assert len({await client(key).ask() for _ in range(4)}) == 1


async def test_a_burst_is_forwarded_whole(data_plane: Any, server: StartServer, client: Client) -> None:
    key = data_plane.serve(dns(data_plane, await server()))
    one = client(key)
    for number in range(100):
        one.socket.send(b"%d" % number)
    assert [await one.answer() for _ in range(100)] == [b"%d" % number for number in range(100)]


async def test_flows_of_an_endpoint_that_left_end_at_once(data_plane: Any, server: StartServer, client: Client) -> None:
    one, other = await server("a"), await server("b")
    key = data_plane.serve(dns(data_plane, one))
    asking = client(key)
    assert await asking.ask() == b"a"
    data_plane.change(dns(data_plane, other))
    (record,) = data_plane.records()
    assert record["reason"] == "endpoint_removed"
    assert await asking.ask() == b"b"


async def test_flows_of_an_endpoint_that_drains_go_on_and_new_ones_go_elsewhere(
    data_plane: Any, server: StartServer, client: Client
) -> None:
    leaving, staying = await server("a"), await server("b")
    key = data_plane.serve(dns(data_plane, leaving))
    asking = client(key)
    assert await asking.ask() == b"a"
    data_plane.change(dns(data_plane, staying, draining=((leaving.address, leaving.port),)))
    assert (await asking.ask(), await client(key).ask()) == (b"a", b"b")
    data_plane.change(dns(data_plane, staying))
    assert await asking.ask() == b"b"


async def test_flows_end_with_their_frontend(data_plane: Any, server: StartServer, client: Client) -> None:
    key = data_plane.serve(dns(data_plane, await server()))
    await client(key).ask()
    data_plane.apply(Delta(removed_frontends=(key,), removed_pools=("dns",)), {})
    (record,) = data_plane.records()
    assert record["reason"] == "frontend_removed"


async def test_answers_that_came_before_their_frontend_went_are_still_sent(
    data_plane: Any, server: StartServer, client: Client
) -> None:
    key = data_plane.serve(dns(data_plane, await server()))
    asking = client(key)
    await asking.ask()
    (flow,) = data_plane.worker._listeners[key].flows.values()
    flow.send(b"under way")
    await until_readable(flow._socket)
    # The reactor may have been quicker.
    flow.ready(0)
    data_plane.apply(Delta(removed_frontends=(key,), removed_pools=("dns",)), {})
    assert await asking.answer() == b"under way"


async def test_a_burst_of_one_client_and_its_answers_keep_their_order(
    data_plane: Any, server: StartServer, client: Client
) -> None:
    key = data_plane.serve(dns(data_plane, await server()), "0.0.0.0")
    one = client(key, "127.0.0.1")
    for first in range(0, 1000, 50):
        for number in range(first, first + 50):
            one.socket.send(b"%d" % number)
        assert [await one.answer() for _ in range(50)] == [b"%d" % number for number in range(first, first + 50)]
    assert len(data_plane.resources.flows) == 1


async def test_bursts_of_many_clients_of_two_frontends_are_answered_each_from_where_it_was_asked(
    data_plane: Any, server: StartServer, client: Client
) -> None:
    pools = [data_plane.pool(await server(name), key=name, protocol="UDP") for name in "ab"]
    keys = [data_plane.serve(pool, "0.0.0.0") for pool in pools]
    asking = [(key, client(key, f"127.0.0.{host}")) for host in range(1, 6) for key in keys * 2]
    for first in range(0, 40, 4):
        for number in range(first, first + 4):
            for _, each in asking:
                each.socket.send(b"%d" % number)
        for number in range(first, first + 4):
            for key, each in asking:
                name = b"a" if key == keys[0] else b"b"
                assert await each.answer() == name + b"%d" % number
    assert len(data_plane.resources.flows) == len(asking)


async def test_a_frontend_that_moves_to_another_pool_takes_no_flow_of_the_old_one_along(
    data_plane: Any, server: StartServer, client: Client
) -> None:
    key = data_plane.serve(dns(data_plane, await server("a")))
    asking = client(key)
    assert await asking.ask() == b"a"
    pool = data_plane.pool(await server("b"), key="other", protocol="UDP")
    frontend = Frontend(key, "other", "default/other", "NodePort")
    data_plane.apply(Delta(pools=(pool,), frontends=(frontend,), removed_pools=("dns",)), {})
    assert await asking.ask() == b"b"
    assert [record["reason"] for record in data_plane.records()] == ["endpoint_removed"]


async def test_an_idle_flow_ends_after_its_time(data_plane: Any, server: StartServer, client: Client) -> None:
    key = data_plane.serve(dns(data_plane, await server(), idle_timeout=0.3))
    asking = client(key)
    await asking.ask()
    (record,) = await data_plane.records_of(1)
    assert record["reason"] == "idle_timeout"
    assert await asking.ask(b"again") == b"again"


async def test_clients_outside_the_source_ranges_are_not_heard(
    data_plane: Any, server: StartServer, client: Client
) -> None:
    key = data_plane.serve(dns(data_plane, await server()), source_ranges=("127.0.0.2/32",))
    client(key, source="127.0.0.3").socket.send(b"x")
    assert await client(key, source="127.0.0.2").ask(b"x") == b"x"
    assert len(data_plane.resources.flows) == 1


async def test_a_dropping_frontend_hears_nobody_until_it_opens(
    data_plane: Any, server: StartServer, client: Client
) -> None:
    key = data_plane.serve(dns(data_plane), when_empty="drop")
    asking = client(key)
    asking.socket.send(b"lost")
    asking.socket.send(b"no refusal was reported either")
    data_plane.change(dns(data_plane, await server()))
    assert await asking.ask(b"heard") == b"heard"


async def test_the_address_that_was_asked_is_known_where_the_scheduler_needs_it(
    data_plane: Any, server: StartServer, client: Client
) -> None:
    targets = [await server(name) for name in "abcde"]
    key = data_plane.serve(dns(data_plane, *targets, scheduler="dh"), "0.0.0.0")
    answers = {
        asked: {await client(key, asked).ask() for _ in range(3)} for asked in (f"127.0.1.{n}" for n in range(12))
    }
    assert {len(names) for names in answers.values()} == {1}
    assert len(set.union(*answers.values())) > 1


@pytest.fixture
def link_local(network_namespace: None) -> tuple[str, str]:
    """Two link-local addresses of one interface, the loopback one."""
    addresses = "fe80::7", "fe80::8"
    for address in addresses:
        subprocess.run(["ip", "-6", "address", "add", f"{address}/64", "dev", "lo", "nodad"], check=True, timeout=20)
    return addresses


@pytest.mark.requires("ip")
async def test_a_link_local_client_is_answered_from_the_address_and_interface_it_asked(
    link_local: tuple[str, str], data_plane: Any, server: StartServer
) -> None:
    scope = socket.if_nametoindex("lo")
    key = data_plane.serve(dns(data_plane, await server()), "::")
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as one:
        one.setblocking(False)
        one.bind((link_local[1], 0, 0, scope))
        for asked in link_local:
            one.sendto(asked.encode(), (asked, key.port, 0, scope))
            await asyncio.wait_for(until_readable(one), 10)
            data, (host, port, *_) = one.recvfrom(100)
            assert (data, host.partition("%")[0], port) == (asked.encode(), asked, key.port)
        clients = {flow.client for flow in data_plane.worker._listeners[key].flows.values()}
        assert clients == {(f"{link_local[1]}%lo", one.getsockname()[1])}
    assert len(data_plane.resources.flows) == 2
