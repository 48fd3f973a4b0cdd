"""From a client to a backend: what it said early, and backends that refuse, do not answer, or are far."""

import asyncio
import random
import socket
import struct
from typing import Any

import pytest

from proxy.plan.frontend import FrontendKey, Target
from tests.lane import free_port

RESET = struct.pack("ii", 1, 0)


async def ask(connect: Any, key: FrontendKey) -> bytes:
    reader, writer = await connect(key)
    answer: bytes = await reader.read()
    writer.close()
    return answer


async def is_reset(connect: Any, key: FrontendKey) -> bool:
    """Whether the connection ends in a reset, be it before connect returns or after."""
    try:
        reader, _ = await connect(key)
        await reader.read()
    except ConnectionResetError:
        return True
    return False


def unused_target(host: str = "127.0.0.1") -> Target:
    return Target(host, free_port())


async def ask_before_accept(key: FrontendKey, request: bytes) -> bytes:
    """The whole answer to a request that was there, with its end, before the proxy could accept."""
    loop = asyncio.get_running_loop()
    with socket.create_connection((key.address, key.port)) as client:
        client.setblocking(False)
        sent = client.send(request)
        sending = asyncio.create_task(send_rest(client, request[sent:]))
        answer = b""
        while data := await loop.sock_recv(client, 1 << 20):
            answer += data
        await sending
    return answer


async def send_rest(client: socket.socket, data: bytes) -> None:
    await asyncio.get_running_loop().sock_sendall(client, data)
    client.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("size", [1, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 3_000_000])
@pytest.mark.parametrize("far", [0, 2])
async def test_what_a_client_said_before_it_was_accepted_arrives_once_and_in_order(
    data_plane: Any, backends: Any, size: int, far: int
) -> None:
    key = data_plane.serve(data_plane.pool(await backends.echo()))
    (upstream,) = data_plane.worker.balancer("web").upstreams
    upstream.far = far
    request = random.Random(size).randbytes(size)
    assert await ask_before_accept(key, request) == request
    (record,) = await data_plane.records_of(1)
    assert (record["bytesIn"], record["bytesOut"], record["reason"]) == (size, size, "client_closed")


async def test_what_a_client_said_early_goes_to_the_backend_that_takes_it(data_plane: Any, backends: Any) -> None:
    key = data_plane.serve(data_plane.pool(unused_target(), await backends.echo()))
    assert await ask_before_accept(key, b"early") == b"early"
    assert await ask_before_accept(key, b"again") == b"again"


async def test_a_backend_behind_a_full_backlog_counts_as_far_and_is_still_served(
    data_plane: Any, backends: Any
) -> None:
    with socket.socket() as listener, socket.socket() as filler:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        filler.connect(listener.getsockname())
        target = Target("127.0.0.1", listener.getsockname()[1])
        key = data_plane.serve(data_plane.pool(target, connect_timeout=20.0))
        asking = asyncio.create_task(ask_before_accept(key, b"patient"))
        (upstream,) = data_plane.worker.balancer("web").upstreams
        async with asyncio.timeout(20):
            while not upstream.far:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0)
        assert not asking.done()
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        queued, _ = await loop.sock_accept(listener)
        queued.close()
        served, _ = await loop.sock_accept(listener)
        with served:
            assert await loop.sock_recv(served, 100) == b"patient"
            served.send(b"done")
        assert await asking == b"done"


async def test_a_backend_that_refuses_is_replaced_within_the_same_connection(
    data_plane: Any, backends: Any, connect: Any
) -> None:
    pool = data_plane.pool(unused_target(), await backends.named("good"))
    key = data_plane.serve(pool)
    assert [await ask(connect, key) for _ in range(4)] == [b"good"] * 4
    balancer = data_plane.worker.balancer(pool.key)
    assert sum(upstream.active for upstream in balancer.upstreams) == 0


async def test_a_client_is_reset_when_every_backend_refuses(data_plane: Any, connect: Any) -> None:
    key = data_plane.serve(data_plane.pool(unused_target(), unused_target("127.0.0.2")))
    was_reset = await is_reset(connect, key)
    assert was_reset
    (record,) = await data_plane.records_of(1)
    assert (record["reason"], record["connectMs"]) == ("connect_refused", None)


async def test_backends_that_all_refused_are_tried_again(data_plane: Any, backends: Any, connect: Any) -> None:
    target = unused_target()
    key = data_plane.serve(data_plane.pool(target))
    assert await is_reset(connect, key)
    await backends.named("back", port=target.port)
    assert await ask(connect, key) == b"back"


async def test_a_backend_that_does_not_answer_is_given_up_after_the_connect_timeout(
    data_plane: Any, connect: Any
) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        place = deaf.getsockname()
        # One connection fills this backlog; the kernel drops every further SYN.
        with socket.create_connection(place):
            key = data_plane.serve(data_plane.pool(Target(*place), connect_timeout=0.3))
            was_reset = await is_reset(connect, key)
    assert was_reset
    (record,) = await data_plane.records_of(1)
    assert record["reason"] == "connect_timeout"


async def test_a_backend_that_does_not_answer_is_replaced(data_plane: Any, backends: Any, connect: Any) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        place = deaf.getsockname()
        with socket.create_connection(place):
            good = await backends.named("good")
            key = data_plane.serve(data_plane.pool(good, Target(*place), connect_timeout=1.0))
            assert [await ask(connect, key) for _ in range(2)] == [b"good"] * 2


async def test_a_client_that_finished_before_the_accept_is_still_answered(data_plane: Any, backends: Any) -> None:
    assert await ask_before_accept(data_plane.serve(data_plane.pool(await backends.named("good"))), b"") == b"good"


async def test_a_request_goes_to_another_backend_where_one_does_not_answer(data_plane: Any, backends: Any) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        place = deaf.getsockname()
        with socket.create_connection(place):
            pool = data_plane.pool(await backends.echo(), Target(*place), connect_timeout=1.0)
            assert await ask_before_accept(data_plane.serve(pool), b"hello") == b"hello"
            dialled = data_plane.worker.balancer(pool.key).upstreams
            assert {upstream.port: upstream.far > 0 for upstream in dialled}[place[1]]


async def test_a_client_that_gave_up_before_the_accept_reaches_no_backend(data_plane: Any, backends: Any) -> None:
    key = data_plane.serve(data_plane.pool(await backends.echo()))
    with socket.create_connection((key.address, key.port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    (record,) = await data_plane.records_of(1)
    assert (record["reason"], record["endpoint"]) == ("client_reset", "")
