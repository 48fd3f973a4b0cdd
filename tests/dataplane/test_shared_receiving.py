"""Many UDP frontends behind one socket: the envelope of a datagram says which was asked.

Without a program of type sk_lookup, the socket from which a frontend answers takes what comes after: so each frontend
is asked once, or everything is sent before the first answer.
"""

import asyncio
import socket
from typing import Any

import pytest

from proxy.capture.listening_socket import open_listening_socket
from proxy.dataplane import udp_receiver
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.messages import Update
from proxy.dataplane.steps import take_all
from proxy.plan.frontend import Delta, Frontend, FrontendKey
from proxy.shared_counts.layout import PoolCell
from tests.dataplane.datagrams import Client, StartServer, dns, until_readable
from tests.lane import free_port

ORIGINAL_DESTINATION = {socket.AF_INET: (socket.IPPROTO_IP, 20), socket.AF_INET6: (socket.IPPROTO_IPV6, 74)}
NO_ENDPOINTS = PoolCell.FAILED + CloseReason.NO_ENDPOINTS.number


class Shared:
    """A socket on every address of a family: what the kernel's program makes of one on loopback. `addresses` are two
    of that family, `wildcard` is its own."""

    def __init__(self, data_plane: Any, *addresses: str) -> None:
        family = socket.AF_INET6 if ":" in addresses[0] else socket.AF_INET
        self.addresses = addresses
        self.wildcard = "::" if family == socket.AF_INET6 else "0.0.0.0"
        self._data_plane = data_plane
        key = FrontendKey("UDP", self.wildcard, free_port())
        self.port = key.port
        sock = open_listening_socket(key)
        sock.setsockopt(*ORIGINAL_DESTINATION[family], 1)
        take_all(data_plane.worker.apply(Update(opened=(key,), shared=(key,)), {key: sock}))

    async def frontend(self, address: str, server: StartServer, name: str = "") -> FrontendKey:
        """A frontend without a socket of its own, whose endpoint says its name; without a name it has none."""
        key = FrontendKey("UDP", address, self.port)
        targets = (await server(name),) if name else ()
        pool = self._data_plane.pool(*targets, key=address, protocol="UDP")
        frontend = Frontend(key, pool.key, pool.service, "ClusterIP")
        self._data_plane.apply(Delta(pools=(pool,), frontends=(frontend,)), {})
        return key

    async def until_lost(self, address: str, count: int) -> None:
        """Until so many datagrams for the frontend have met no endpoint."""
        counts = self._data_plane.worker.balancer(address).tally.counts
        async with asyncio.timeout(10):
            while counts[NO_ENDPOINTS] != count:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0)


@pytest.fixture(params=["IPv4", "IPv6"])
def shared(request: pytest.FixtureRequest, data_plane: Any) -> Shared:
    if request.param == "IPv4":
        return Shared(data_plane, "127.0.0.2", "127.0.0.3")
    request.getfixturevalue("network_namespace")
    return Shared(data_plane, "fd00:96::73", "fd00:96::80")


async def test_each_datagram_meets_the_frontend_that_it_was_sent_to_and_is_answered_from_there(
    shared: Shared, server: StartServer, client: Client
) -> None:
    keys = [await shared.frontend(address, server, address) for address in shared.addresses]
    assert [await client(key).ask(b"!") for key in keys] == [f"{key.address}!".encode() for key in keys]


async def test_an_address_goes_before_the_wildcard(shared: Shared, server: StartServer, client: Client) -> None:
    one, other = shared.addresses
    wildcard = await shared.frontend(shared.wildcard, server, "wildcard")
    asking = client(await shared.frontend(one, server, "address")), client(wildcard, other)
    for each in asking:
        each.socket.send(b"")
    assert [await each.answer() for each in asking] == [b"address", b"wildcard"]


async def test_ipv6_addresses_are_found_however_they_are_written(
    data_plane: Any, server: StartServer, client: Client
) -> None:
    shared = Shared(data_plane, "::1")
    key = await shared.frontend("0:0:0:0:0:0:0:1", server, "six")
    assert await client(key, "::1").ask() == b"six"


async def test_bursts_of_many_clients_find_their_frontends_and_keep_their_order(
    data_plane: Any, shared: Shared, server: StartServer, client: Client
) -> None:
    keys = [await shared.frontend(address, server, address) for address in shared.addresses]
    asking = [(key, client(key)) for key in keys * 5]
    for number in range(10):
        for _, each in asking:
            each.socket.send(b"%d" % number)
    for number in range(10):
        for key, each in asking:
            assert await each.answer() == f"{key.address}{number}".encode()
    assert len(data_plane.resources.flows) == len(asking)


async def test_one_client_of_two_frontends_has_two_flows(data_plane: Any, shared: Shared, server: StartServer) -> None:
    keys = [await shared.frontend(address, server, address) for address in shared.addresses]
    family = socket.AF_INET6 if ":" in keys[0].address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        one.setblocking(False)
        for key in keys:
            one.sendto(b"", (key.address, key.port))
        heard = []
        for _ in keys:
            await asyncio.wait_for(until_readable(one), 10)
            heard.append(one.recvfrom(100))
    assert {(data.decode(), sender[0], sender[1]) for data, sender in heard} == {
        (key.address, key.address, key.port) for key in keys
    }
    assert len(data_plane.resources.flows) == 2


async def test_a_datagram_of_nobody_is_lost_and_takes_nothing(
    data_plane: Any, shared: Shared, server: StartServer, client: Client
) -> None:
    one, other = shared.addresses
    free = data_plane.resources.descriptors.free
    client(FrontendKey("UDP", other, shared.port)).socket.send(b"nobody's")
    client(await shared.frontend(one, server)).socket.send(b"nobody's, too")
    await shared.until_lost(one, 1)
    assert data_plane.resources.descriptors.free == free
    assert not data_plane.resources.flows


async def test_a_frontend_that_comes_is_found_by_those_who_met_the_wildcard(
    shared: Shared, server: StartServer, client: Client
) -> None:
    one, _ = shared.addresses
    asking = client(await shared.frontend(shared.wildcard, server), one)
    asking.socket.send(b"lost")
    await shared.until_lost(shared.wildcard, 1)
    await shared.frontend(one, server, "address")
    assert await asking.ask() == b"address"


async def test_a_frontend_that_goes_leaves_its_clients_to_the_wildcard(
    data_plane: Any, shared: Shared, server: StartServer, client: Client
) -> None:
    one, _ = shared.addresses
    await shared.frontend(shared.wildcard, server, "wildcard")
    key = await shared.frontend(one, server)
    asking = client(key)
    asking.socket.send(b"lost")
    await shared.until_lost(one, 1)
    data_plane.apply(Delta(removed_frontends=(key,), removed_pools=(one,)), {})
    assert await asking.ask() == b"wildcard"


async def test_an_own_socket_of_another_frontend_does_not_touch_it(
    data_plane: Any, shared: Shared, server: StartServer, client: Client
) -> None:
    one, other = shared.addresses
    key = data_plane.serve(dns(data_plane, await server("own")), other)
    await shared.frontend(one, server, "shared")
    assert await client(key).ask() == b"own"
    data_plane.apply(Delta(removed_frontends=(key,), removed_pools=("dns",)), {})
    assert await client(FrontendKey("UDP", one, shared.port)).ask() == b"shared"


async def test_at_the_end_nobody_listens(data_plane: Any, shared: Shared, server: StartServer, client: Client) -> None:
    asking = client(await shared.frontend(shared.addresses[0], server, "gone"))
    data_plane.worker.end_all(CloseReason.SHUTDOWN)
    with pytest.raises(ConnectionRefusedError):
        await asking.ask()


async def test_the_places_that_are_remembered_are_bounded(
    shared: Shared, server: StartServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp_receiver, "MOST_PLACES", 1)
    keys = [await shared.frontend(address, server, address) for address in shared.addresses]
    (receiver,) = shared._data_plane.worker._shared_udp._receivers
    askings = [client(key, source=key.address) for key in keys]
    for asking in askings:
        asking.socket.send(b"!")
    assert {await asking.answer() for asking in askings} == {f"{address}!".encode() for address in shared.addresses}
    assert len(receiver._listeners) == 1
