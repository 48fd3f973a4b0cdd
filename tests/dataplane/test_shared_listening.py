"""Many frontends behind one listening socket: the accepted socket's own address says which."""

import asyncio
import socket
from typing import Any

import pytest

from proxy.dataplane.messages import Update
from proxy.dataplane.steps import take_all
from proxy.plan.frontend import Delta, Frontend, FrontendKey
from tests.lane import free_port


class Shared:
    """A listening socket on every address of a family: what the kernel's program makes of one on loopback."""

    def __init__(self, data_plane: Any, family: socket.AddressFamily) -> None:
        address = "::" if family == socket.AF_INET6 else "0.0.0.0"
        self._data_plane = data_plane
        self._socket = socket.create_server((address, free_port()), family=family)
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        key = FrontendKey("TCP", address, self.port)
        take_all(data_plane.worker.apply(Update(opened=(key,), shared=(key,)), {key: self._socket}))

    def frontend(self, address: str, of: Any) -> FrontendKey:
        """A frontend without a socket of its own."""
        key = FrontendKey("TCP", address, self.port)
        frontend = Frontend(key, of.key, of.service, "ClusterIP")
        self._data_plane.apply(Delta(pools=(of,), frontends=(frontend,)), {})
        return key


@pytest.fixture
def shared(data_plane: Any) -> Shared:
    return Shared(data_plane, socket.AF_INET)


async def ask(address: str, port: int) -> bytes:
    """What the server says; raises ConnectionError as the client sees it."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        return await reader.read()
    finally:
        writer.close()


async def test_each_client_meets_the_frontend_that_it_asked_for(data_plane: Any, backends: Any, shared: Any) -> None:
    for address in ("127.0.0.2", "127.0.0.3"):
        shared.frontend(address, data_plane.pool(await backends.named(address), key=address))
    assert await ask("127.0.0.2", shared.port) == b"127.0.0.2"
    assert await ask("127.0.0.3", shared.port) == b"127.0.0.3"


async def test_an_address_goes_before_the_wildcard(data_plane: Any, backends: Any, shared: Any) -> None:
    shared.frontend("0.0.0.0", data_plane.pool(await backends.named("wildcard"), key="wildcard"))
    shared.frontend("127.0.0.2", data_plane.pool(await backends.named("address"), key="address"))
    assert await ask("127.0.0.2", shared.port) == b"address"
    assert await ask("127.0.0.3", shared.port) == b"wildcard"


async def test_ipv6_addresses_are_found_however_they_are_written(data_plane: Any, backends: Any) -> None:
    shared = Shared(data_plane, socket.AF_INET6)
    shared.frontend("0:0:0:0:0:0:0:1", data_plane.pool(await backends.named("six")))
    assert await ask("::1", shared.port) == b"six"


async def test_the_wildcard_of_ipv6_is_found(data_plane: Any, backends: Any) -> None:
    shared = Shared(data_plane, socket.AF_INET6)
    shared.frontend("::", data_plane.pool(await backends.named("six")))
    assert await ask("::1", shared.port) == b"six"


async def test_a_client_of_nobody_is_turned_away_and_takes_no_descriptor(data_plane: Any, shared: Any) -> None:
    free = data_plane.resources.descriptors.free
    for _ in range(3):
        with pytest.raises(ConnectionResetError):
            await ask("127.0.0.2", shared.port)
    assert data_plane.resources.descriptors.free == free
    assert data_plane.worker.open_relays == 0


async def test_who_waits_when_the_frontend_goes_is_still_served(data_plane: Any, backends: Any, shared: Any) -> None:
    key = shared.frontend("127.0.0.2", data_plane.pool(await backends.named("last")))
    with socket.socket() as client:
        client.connect((key.address, key.port))
        data_plane.apply(Delta(removed_frontends=(key,)), {})
        client.setblocking(False)
        assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 10), 10) == b"last"
    with pytest.raises(ConnectionResetError):
        await ask(key.address, key.port)


async def test_who_waits_at_the_end_is_still_served_and_then_nobody_listens(
    data_plane: Any, backends: Any, shared: Any
) -> None:
    key = shared.frontend("127.0.0.2", data_plane.pool(await backends.named("last")))
    with socket.socket() as client:
        client.connect((key.address, key.port))
        take_all(data_plane.worker.stop_accepting())
        client.setblocking(False)
        assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 10), 10) == b"last"
    with pytest.raises(ConnectionRefusedError):
        await ask(key.address, key.port)


async def test_the_access_log_names_the_frontend(data_plane: Any, backends: Any, shared: Any) -> None:
    shared.frontend("127.0.0.2", data_plane.pool(await backends.named("x")))
    await ask("127.0.0.2", shared.port)
    (record,) = await data_plane.records_of(1)
    assert record["frontend"] == f"127.0.0.2:{shared.port}/TCP"


async def test_an_own_socket_and_a_udp_frontend_of_the_same_place_do_not_touch_it(
    data_plane: Any, backends: Any, shared: Any
) -> None:
    shared.frontend("127.0.0.1", data_plane.pool(await backends.named("shared")))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", shared.port))
    datagrams.setblocking(False)
    key = FrontendKey("UDP", "127.0.0.1", shared.port)
    udp = data_plane.pool(key="udp", protocol="UDP")
    frontend = Frontend(key, udp.key, udp.service, "ClusterIP")
    data_plane.apply(Delta(pools=(udp,), frontends=(frontend,)), {key: datagrams})
    data_plane.apply(Delta(removed_frontends=(key,), removed_pools=("udp",)), {})
    assert await ask("127.0.0.1", shared.port) == b"shared"
