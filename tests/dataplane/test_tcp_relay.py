"""TCP relays over real sockets: what a client and a backend see of each other."""

import asyncio
import hashlib
import random
import socket
import struct
from typing import Any

from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.steps import take_all
from proxy.plan.frontend import Delta, Target
from tests.lane import free_port

RESET = struct.pack("ii", 1, 0)


def reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


async def test_bytes_go_both_ways(data_plane: Any, backends: Any, connect: Any) -> None:
    key = data_plane.serve(data_plane.pool(await backends.echo()))
    reader, writer = await connect(key)
    for message in (b"hello", b"again"):
        writer.write(message)
        assert await reader.readexactly(len(message)) == message
    writer.close()
    (record,) = await data_plane.records_of(1)
    assert (record["bytesIn"], record["bytesOut"], record["reason"]) == (10, 10, "client_closed")


async def test_a_client_that_finished_sending_still_receives(data_plane: Any, backends: Any, connect: Any) -> None:
    async def answer_after_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received = await reader.read()
        writer.write(b"got " + received)

    key = data_plane.serve(data_plane.pool(await backends.start(answer_after_the_end)))
    reader, writer = await connect(key)
    writer.write(b"all")
    writer.write_eof()
    assert await reader.read() == b"got all"
    writer.close()
    (record,) = await data_plane.records_of(1)
    assert record["reason"] == "client_closed"


async def test_a_backend_that_finished_sending_still_receives(data_plane: Any, backends: Any, connect: Any) -> None:
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def finish_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        received.set_result(await reader.read())

    key = data_plane.serve(data_plane.pool(await backends.start(finish_first)))
    reader, writer = await connect(key)
    assert await reader.read() == b""
    writer.write(b"late")
    writer.close()
    assert await received == b"late"
    (record,) = await data_plane.records_of(1)
    assert record["reason"] == "backend_closed"


async def test_a_reset_by_the_client_reaches_the_backend_as_a_reset(
    data_plane: Any, backends: Any, connect: Any
) -> None:
    seen: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def wait_for_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x")
        try:
            await reader.read()
        except ConnectionResetError:
            seen.set_result(True)
        else:
            seen.set_result(False)

    key = data_plane.serve(data_plane.pool(await backends.start(wait_for_the_end)))
    reader, writer = await connect(key)
    await reader.read(1)
    reset(writer)
    assert await seen
    (record,) = await data_plane.records_of(1)
    assert record["reason"] == "client_reset"


async def test_a_reset_by_the_backend_reaches_the_client_as_a_reset(
    data_plane: Any, backends: Any, connect: Any
) -> None:
    async def reset_on_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        reset(writer)

    key = data_plane.serve(data_plane.pool(await backends.start(reset_on_request)))
    reader, writer = await connect(key)
    writer.write(b"x")
    try:
        ended_well = await reader.read() == b""
    except ConnectionResetError:
        ended_well = False
    assert not ended_well
    writer.close()
    (record,) = await data_plane.records_of(1)
    assert record["reason"] == "backend_reset"


async def test_a_server_that_speaks_first_is_heard_at_once(data_plane: Any, backends: Any, connect: Any) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await reader.read()

    key = data_plane.serve(data_plane.pool(await backends.start(greet)))
    reader, writer = await connect(key)
    assert await reader.readline() == b"220 ready\r\n"
    writer.close()


async def test_large_transfers_arrive_whole_in_both_directions(data_plane: Any, backends: Any, connect: Any) -> None:
    key = data_plane.serve(data_plane.pool(await backends.echo()))
    data = random.Random(7).randbytes(1 << 20) * 24
    reader, writer = await connect(key)

    async def send() -> None:
        writer.write(data)
        await writer.drain()
        writer.write_eof()

    _, received = await asyncio.gather(send(), reader.read())
    writer.close()
    assert hashlib.sha256(received).digest() == hashlib.sha256(data).digest()
    (record,) = await data_plane.records_of(1)
    assert (record["bytesIn"], record["bytesOut"]) == (len(data), len(data))


async def test_a_slow_reader_holds_the_writer_back_and_loses_nothing(
    data_plane: Any, backends: Any, connect: Any
) -> None:
    data = random.Random(8).randbytes(1 << 20) * 16
    drained = asyncio.Event()

    async def send_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=65536)
        for start in range(0, len(data), 65536):
            writer.write(data[start : start + 65536])
            await writer.drain()
        drained.set()

    key = data_plane.serve(data_plane.pool(await backends.start(send_all)))
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await loop.sock_connect(client, (key.address, key.port))
        received = bytearray(await loop.sock_recv(client, 1))
        assert not drained.is_set()
        while chunk := await loop.sock_recv(client, 8192):
            received += chunk
    assert bytes(received) == data


async def test_an_idle_connection_ends_after_its_limit_and_a_busy_one_does_not(
    data_plane: Any, backends: Any, connect: Any
) -> None:
    key = data_plane.serve(data_plane.pool(await backends.echo(), idle_timeout=0.5))
    idle_reader, idle_writer = await connect(key)
    busy_reader, busy_writer = await connect(key)

    async def be_busy() -> None:
        while True:
            busy_writer.write(b"x")
            await busy_reader.readexactly(1)

    busy = asyncio.create_task(be_busy())
    try:
        ended = await asyncio.wait_for(idle_reader.read(), 10) == b""
    except ConnectionResetError:
        ended = True
    assert ended
    assert not busy.done()
    busy.cancel()
    idle_writer.close()
    busy_writer.close()
    assert (await data_plane.records_of(1))[0]["reason"] == "idle_timeout"


async def test_connections_are_counted_while_open_and_half_closed(data_plane: Any, backends: Any, connect: Any) -> None:
    pool = data_plane.pool(await backends.echo())
    key = data_plane.serve(pool)
    (upstream,) = data_plane.worker.balancer(pool.key).upstreams
    reader, writer = await connect(key)
    writer.write(b"x")
    await reader.readexactly(1)
    assert (upstream.active, upstream.inactive) == (1, 0)
    writer.close()
    await data_plane.records_of(1)
    assert (upstream.active, upstream.inactive) == (0, 0)


async def test_established_connections_outlive_their_endpoint_pool_and_frontend(
    data_plane: Any, backends: Any, connect: Any
) -> None:
    target = await backends.echo()
    pool = data_plane.pool(target)
    key = data_plane.serve(pool)
    reader, writer = await connect(key)
    deltas = (
        Delta(pools=(data_plane.pool(Target("127.0.0.1", free_port())),)),
        Delta(removed_frontends=(key,), removed_pools=(pool.key,)),
    )
    for delta in deltas:
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        data_plane.apply(delta, {})
    writer.write(b"y")
    assert await reader.readexactly(1) == b"y"
    writer.close()
    await data_plane.records_of(1)


async def test_a_connection_that_ends_while_its_idle_limit_is_lifted_leaves_nothing_behind(
    data_plane: Any, backends: Any, connect: Any
) -> None:
    target = await backends.echo()
    key = data_plane.serve(data_plane.pool(target, idle_timeout=60.0))
    for _ in range(3):
        reader, writer = await connect(key)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
    steps = iter(data_plane.steps(Delta(pools=(data_plane.pool(target),)), {}))
    next(steps)
    for relay in list(data_plane.resources.relays):
        relay.end(CloseReason.CLIENT_CLOSED)
    take_all(steps)
    assert len(data_plane.resources.idle) == 0


async def test_an_idle_limit_that_comes_later_holds_for_open_connections_as_well(
    data_plane: Any, backends: Any, connect: Any
) -> None:
    target = await backends.echo()
    key = data_plane.serve(data_plane.pool(target))
    reader, writer = await connect(key)
    writer.write(b"x")
    await reader.readexactly(1)
    data_plane.change(data_plane.pool(target, idle_timeout=0.3))
    assert (await data_plane.records_of(1))[0]["reason"] == "idle_timeout"


async def received_with_urgent_data(data_plane: Any, backends: Any, finish: bool) -> bytes:
    """What the backend has when a client put a byte of urgent data amid others, all there before the first read."""
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"?")
        received.set_result(await (reader.read() if finish else reader.readexactly(8)))

    key = data_plane.serve(data_plane.pool(await backends.start(take)))
    with socket.create_connection((key.address, key.port)) as client:
        client.setblocking(False)
        assert await asyncio.get_running_loop().sock_recv(client, 1) == b"?"
        client.send(b"before")
        client.send(b"!", socket.MSG_OOB)
        client.send(b"after")
        if finish:
            client.shutdown(socket.SHUT_WR)
        return await asyncio.wait_for(received, 10)


async def test_what_follows_urgent_data_arrives(data_plane: Any, backends: Any) -> None:
    assert await received_with_urgent_data(data_plane, backends, finish=False) == b"beforeaf"


async def test_what_follows_urgent_data_arrives_before_the_end(data_plane: Any, backends: Any) -> None:
    assert await received_with_urgent_data(data_plane, backends, finish=True) == b"beforeafter"


async def test_a_reset_after_the_end_of_sending_ends_the_relay(data_plane: Any, backends: Any) -> None:
    half_closed, over = asyncio.Event(), asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        half_closed.set()
        await over.wait()

    key = data_plane.serve(data_plane.pool(await backends.start(say_nothing)))
    with socket.create_connection((key.address, key.port)) as client:
        client.shutdown(socket.SHUT_WR)
        await asyncio.wait_for(half_closed.wait(), 10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    (record,) = await data_plane.records_of(1)
    over.set()
    assert record["reason"] == "client_reset"
