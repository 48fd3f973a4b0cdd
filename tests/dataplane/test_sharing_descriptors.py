"""Connections and UDP flows share the descriptors: neither starves the other, nor one Service the rest."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from proxy.dataplane.close_reason import CloseReason
from proxy.plan.frontend import FrontendKey, Target
from proxy.shared_counts.layout import PoolCell
from tests.dataplane.datagrams import Asking, Client, StartServer, dns

HERE = ["127.0.0.1", "::1"]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def connected(stack: AsyncExitStack, key: FrontendKey) -> asyncio.StreamReader:
    """A client that stays."""
    reader, writer = await asyncio.open_connection(key.address, key.port)
    stack.callback(writer.close)
    return reader


async def greeting(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.readexactly(1), 10)


async def greeter(backends: Any, name: bytes) -> Any:
    """A TCP server that says one byte and then waits for the client's end."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(name)
        await reader.read()

    return await backends.start(greet)


@pytest.mark.parametrize("host", HERE)
async def test_a_flood_of_datagrams_keeps_no_connection_out(
    make_data_plane: Callable[..., Any],
    backends: Any,
    server: StartServer,
    client: Client,
    stack: AsyncExitStack,
    host: str,
) -> None:
    data_plane = make_data_plane(descriptors=42)
    web, shop = [
        data_plane.serve(data_plane.pool(await greeter(backends, name), key=str(name)), host) for name in (b"w", b"s")
    ]
    names = data_plane.serve(dns(data_plane, await server("", host), idle_timeout=60.0), host)
    crowd: list[Asking] = [client(names) for _ in range(60)]
    for each in crowd:
        assert await each.ask(b"x") == b"x"
    assert len(data_plane.resources.flows) == 30
    for _ in range(12):
        assert await greeting(await connected(stack, web)) == b"w"
    for _ in range(5):
        assert await greeting(await connected(stack, shop)) == b"s"
    # The flows keep their eighth, and go on.
    assert len(data_plane.resources.flows) == 5
    assert await client(names).ask(b"still") == b"still"
    assert {record["reason"] for record in data_plane.records()} == {"flow_evicted"}


async def test_connections_leave_flows_their_part(
    make_data_plane: Callable[..., Any], backends: Any, server: StartServer, client: Client, stack: AsyncExitStack
) -> None:
    data_plane = make_data_plane(descriptors=43)
    web = [data_plane.serve(data_plane.pool(await greeter(backends, name), key=str(name))) for name in (b"v", b"w")]
    names = data_plane.serve(dns(data_plane, await server()))
    clients = [await connected(stack, key) for key in web for _ in range(15)]
    async with asyncio.timeout(10):
        while data_plane.resources.descriptors.free > 6:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
    for _ in range(10):
        assert await client(names).ask(b"x") == b"x"
    assert len(clients) == 30


async def test_one_endpoint_does_not_take_the_last_quarter_and_its_clients_wait(
    make_data_plane: Callable[..., Any], backends: Any, stack: AsyncExitStack
) -> None:
    data_plane = make_data_plane(descriptors=42)
    crowded = data_plane.serve(data_plane.pool(await greeter(backends, b"c"), key="crowded"))
    other = data_plane.serve(data_plane.pool(await greeter(backends, b"o"), key="other"))
    crowd = [await asyncio.open_connection(crowded.address, crowded.port) for _ in range(25)]
    for _, writer in crowd:
        stack.callback(writer.close)
    served = [reader for reader, _ in crowd[:15]]
    for reader in served:
        assert await greeting(reader) == b"c"
    for _ in range(4):
        assert await greeting(await connected(stack, other)) == b"o"
    assert data_plane.worker.open_relays == 16 + 4
    waiting = [reader for reader, _ in crowd[16:]]
    assert not any(reader.at_eof() or reader.exception() for reader in waiting)
    for _, writer in crowd[:16]:
        writer.close()
    for reader in waiting:
        assert await greeting(reader) == b"c"


async def test_an_endpoint_that_has_enough_leaves_new_clients_to_the_others(
    make_data_plane: Callable[..., Any], backends: Any, stack: AsyncExitStack
) -> None:
    data_plane = make_data_plane(descriptors=42)
    crowded, other = await greeter(backends, b"c"), await greeter(backends, b"o")
    alone = data_plane.serve(data_plane.pool(crowded, key="both", scheduler="fo"))
    for _ in range(15):
        assert await greeting(await connected(stack, alone)) == b"c"
    data_plane.change(data_plane.pool(crowded, other, key="both", scheduler="fo"))
    said = [await greeting(await connected(stack, alone)) for _ in range(4)]
    assert said.count(b"o") >= 3


async def test_a_system_without_descriptors_is_said_once_and_not_for_each_datagram(
    data_plane: Any,
    server: StartServer,
    client: Client,
    stack: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = data_plane.serve(dns(data_plane, await server()))
    refused: list[int] = []

    def refuse(*arguments: object) -> object:
        refused.append(1)
        raise OSError(errno.EMFILE, "Too many open files")

    asking = client(key)
    with monkeypatch.context() as patched:
        patched.setattr("proxy.dataplane.udp_flow.SocketType", refuse)
        for _ in range(50):
            asking.socket.send(b"lost")
        async with asyncio.timeout(10):
            while len(refused) < 50:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0)
    assert caplog.text.count("Too many open files") == 1
    lost = PoolCell.FAILED + CloseReason.DESCRIPTOR_LIMIT.number
    assert data_plane.worker.balancer("dns").tally.counts[lost] == 50
    assert await asking.ask(b"heard") == b"heard"


async def test_what_the_kernel_cannot_give_now_is_asked_for_again_later_and_said_once(
    data_plane: Any,
    server: StartServer,
    client: Client,
    stack: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = data_plane.serve(dns(data_plane, await server()))
    receiver = data_plane.worker._listeners[key]._receiver
    inbox, tries = receiver._inbox, list[int]()

    class Exhausted:
        def receive(self, descriptor: int) -> int:
            tries.append(descriptor)
            if len(tries) > 3:
                monkeypatch.undo()
            raise OSError(errno.ENOBUFS, "No buffer space available")

    monkeypatch.setattr(receiver, "_inbox", Exhausted())
    asking = client(key)
    asking.socket.send(b"waits")
    assert await asking.answer() == b"waits"
    assert receiver._inbox is inbox
    assert len(tries) == 4
    assert caplog.text.count("No buffer space available") == 1


async def test_a_receiver_that_closes_while_it_waits_is_not_watched_again(
    data_plane: Any, server: StartServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = data_plane.serve(dns(data_plane, await server()))
    receiver = data_plane.worker._listeners[key]._receiver
    receiver._receive_failed(OSError(errno.ENOBUFS, "No buffer space available"))
    receiver.pause()
    data_plane.resources.tick()
    assert not data_plane.resources.awaits_tick
    assert receiver._socket.fileno() not in data_plane.resources.reactor.handlers


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
async def test_a_pool_that_cannot_be_decoded_costs_no_descriptor(
    data_plane: Any,
    client: Client,
    stack: AsyncExitStack,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    protocol: str,
) -> None:
    key = data_plane.serve(data_plane.pool(Target("127.0.0.1", 1), protocol=protocol))
    before = data_plane.resources.descriptors.free

    def decode(body: object) -> Any:
        raise ValueError("a defect")

    monkeypatch.setattr("proxy.dataplane.lazy_pool.decode_pool", decode)
    for number in range(5):
        if protocol == "TCP":
            with pytest.raises(ConnectionResetError):
                await greeting(await connected(stack, key))
        else:
            client(key).socket.send(b"?")
            async with asyncio.timeout(10):
                while len(caplog.records) <= number:  # noqa: ASYNC110 - nothing announces a line of the log
                    await asyncio.sleep(0)
    assert data_plane.resources.descriptors.free == before
