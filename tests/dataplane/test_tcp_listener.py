"""TCP listeners over real sockets: the gate, source ranges, the descriptor budget and who is accepted when."""

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any

import pytest

from proxy.capture.listening_socket import open_listening_socket
from proxy.dataplane.reactor import LEVEL
from proxy.dataplane.tcp_acceptor import TcpAcceptor
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Target
from proxy.schedulers.rr import RoundRobin
from tests.lane import free_port

NOBODY = Target("127.0.0.1", 1)


def serve(data_plane: Any, pool: Any, address: str = "127.0.0.1", **changes: Any) -> FrontendKey:
    """A frontend on a port that was asked for by number: only such a one survives that it does not listen."""
    key = FrontendKey("TCP", address, free_port())
    frontend = Frontend(key, pool.key, pool.service, "NodePort", **changes)
    data_plane.apply(Delta(pools=(pool,), frontends=(frontend,)), {key: open_listening_socket(key)})
    return key


def acceptor_of(data_plane: Any, key: FrontendKey) -> TcpAcceptor:
    acceptor = data_plane.worker._listeners[key]._acceptor
    assert isinstance(acceptor, TcpAcceptor)
    return acceptor


async def ask(key: FrontendKey, source: str | None = None) -> bytes:
    """What the server says; raises ConnectionError as the client sees it."""
    local = (source, 0) if source else None
    reader, writer = await asyncio.open_connection(key.address, key.port, local_addr=local)
    try:
        return await reader.read()
    finally:
        writer.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)


def knock(key: FrontendKey, source: str = "127.0.0.1") -> socket.socket:
    """A client that has sent its SYN and waits for nobody."""
    client = socket.socket()
    client.setblocking(False)
    client.bind((source, 0))
    assert client.connect_ex((key.address, key.port)) == errno.EINPROGRESS
    return client


async def test_clients_are_refused_while_there_is_no_endpoint(data_plane: Any) -> None:
    key = serve(data_plane, data_plane.pool())
    with pytest.raises(ConnectionRefusedError):
        await ask(key)
    assert data_plane.records() == []


async def test_the_same_socket_refuses_and_serves_in_turn(data_plane: Any, backends: Any) -> None:
    good = await backends.named("good")
    key = serve(data_plane, data_plane.pool(good))
    descriptor = acceptor_of(data_plane, key)._socket.fileno()
    for _ in range(3):
        assert await ask(key) == b"good"
        data_plane.change(data_plane.pool())
        with pytest.raises(ConnectionRefusedError):
            await ask(key)
        data_plane.change(data_plane.pool(good))
    assert acceptor_of(data_plane, key)._socket.fileno() == descriptor


async def test_nobody_can_take_the_port_while_clients_are_refused(data_plane: Any, backends: Any) -> None:
    key = serve(data_plane, data_plane.pool())
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="Address already in use"):
            thief.bind((key.address, key.port))
    data_plane.change(data_plane.pool(await backends.named("good")))
    assert await ask(key) == b"good"


async def test_connections_outlive_that_new_clients_are_refused(data_plane: Any, backends: Any, connect: Any) -> None:
    key = serve(data_plane, data_plane.pool(await backends.echo()))
    reader, writer = await connect(key)
    data_plane.change(data_plane.pool())
    writer.write(b"x")
    assert await reader.readexactly(1) == b"x"
    data_plane.change(data_plane.pool(await backends.named("good")))
    assert await ask(key) == b"good"


async def test_a_drained_endpoint_is_none(data_plane: Any, backends: Any) -> None:
    good = await backends.named("good")
    key = serve(data_plane, data_plane.pool(Target(good.address, good.port, 0)))
    with pytest.raises(ConnectionRefusedError):
        await ask(key)


async def test_a_dropping_frontend_is_silent_until_it_opens(data_plane: Any, backends: Any) -> None:
    key = serve(data_plane, data_plane.pool(), when_empty="drop")
    with knock(key) as client:
        for _ in range(10):
            await asyncio.sleep(0)
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        data_plane.change(data_plane.pool(await backends.named("good")))
        # The client's kernel sends its SYN again after a second.
        assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 10), 10) == b"good"


async def test_a_frontend_can_turn_from_refusing_to_dropping_and_back(data_plane: Any, backends: Any) -> None:
    pool = data_plane.pool()
    key = serve(data_plane, pool)
    for when_empty in ("drop", "refuse"):
        frontend = Frontend(key, pool.key, pool.service, "NodePort", when_empty)
        data_plane.apply(Delta(frontends=(frontend,)), {})
        if when_empty == "drop":
            with knock(key) as client:
                await asyncio.sleep(0)
                assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    with pytest.raises(ConnectionRefusedError):
        await ask(key)
    data_plane.change(data_plane.pool(await backends.named("good")))
    assert await ask(key) == b"good"


async def test_clients_outside_the_source_ranges_are_not_heard(data_plane: Any, backends: Any) -> None:
    key = serve(data_plane, data_plane.pool(await backends.named("good")), source_ranges=("127.0.0.2/32",))
    with knock(key, "127.0.0.3") as outside:
        assert await ask(key, "127.0.0.2") == b"good"
        assert outside.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        with pytest.raises(OSError, match="not connected"):
            outside.getpeername()


async def test_source_ranges_change_on_the_spot_and_for_new_clients_alone(
    data_plane: Any, backends: Any, connect: Any
) -> None:
    pool = data_plane.pool(await backends.echo())
    key = serve(data_plane, pool)
    reader, writer = await connect(key)
    narrow = Frontend(key, pool.key, pool.service, "LoadBalancer", source_ranges=("127.0.0.2/32",))
    data_plane.apply(Delta(frontends=(narrow,)), {})
    with knock(key, "127.0.0.3") as outside:
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        with pytest.raises(OSError, match="not connected"):
            outside.getpeername()


async def test_an_ipv6_frontend_serves_from_an_ipv4_endpoint_and_the_other_way(data_plane: Any, backends: Any) -> None:
    six = serve(data_plane, data_plane.pool(await backends.named("four"), key="a"), "::1")
    four = serve(data_plane, data_plane.pool(await backends.named("six", "::1"), key="b"))
    assert (await ask(six), await ask(four)) == (b"four", b"six")
    records = await data_plane.records_of(2)
    assert records[0]["client"].startswith("[::1]:")
    assert records[1]["endpoint"].startswith("[::1]:")


async def test_the_third_client_waits_where_there_is_room_for_two(
    make_data_plane: Any, backends: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    real = TcpAcceptor.ready

    def counted(self: TcpAcceptor, mask: int) -> None:
        calls.append(mask)
        real(self, mask)

    monkeypatch.setattr(TcpAcceptor, "ready", counted)
    data_plane = make_data_plane(descriptors=5)
    key = serve(data_plane, data_plane.pool(await backends.echo()))
    clients = [await connect(key) for _ in range(3)]
    for reader, writer in clients[:2]:
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
    clients[2][1].write(b"y")
    before = len(calls)
    for _ in range(50):
        await asyncio.sleep(0)
    assert data_plane.worker.open_relays == 2
    assert len(calls) <= before + 1
    clients[0][1].close()
    assert await asyncio.wait_for(clients[2][0].readexactly(1), 10) == b"y"


async def test_nobody_is_accepted_for_descriptors_that_are_not_closed_yet(make_data_plane: Any, backends: Any) -> None:
    data_plane = make_data_plane(descriptors=5)
    key = serve(data_plane, data_plane.pool(await backends.named("good")))
    with knock(key) as client:
        ended = [socket.SocketType() for _ in range(3)]
        for each in ended:
            data_plane.resources.reactor.close(each)
        acceptor_of(data_plane, key).ready(LEVEL)
        assert data_plane.worker.open_relays == 0
        loop = asyncio.get_running_loop()
        assert await asyncio.wait_for(loop.sock_recv(client, 10), 10) == b"good"
    assert [each.fileno() for each in ended] == [-1] * 3


async def test_idle_pipes_give_way_to_a_client(make_data_plane: Any, backends: Any) -> None:
    data_plane = make_data_plane(descriptors=5)
    key = serve(data_plane, data_plane.pool(await backends.named("good")))
    pipes = data_plane.resources.pipes
    lent = [pipes.lend(), pipes.lend()]
    for pipe in lent:
        pipes.give_back(pipe, empty=True)
    assert data_plane.resources.descriptors.free == 0
    assert await asyncio.wait_for(ask(key), 10) == b"good"


async def refuse_accepts(monkeypatch: pytest.MonkeyPatch, data_plane: Any, keys: list[FrontendKey]) -> list[int]:
    """Make the system refuse every accept of the frontends; gives the list that grows with each attempt."""
    attempts: list[int] = []

    class Exhausted:
        def __init__(self, sock: socket.socket) -> None:
            self.real = sock
            self.refuses = True

        def _accept(self) -> Any:
            if self.refuses:
                attempts.append(1)
                raise OSError(errno.EMFILE, "Too many open files")
            return self.real._accept()  # type: ignore[attr-defined]

        def __getattr__(self, name: str) -> Any:
            return getattr(self.real, name)

    for key in keys:
        acceptor = acceptor_of(data_plane, key)
        monkeypatch.setattr(acceptor, "_socket", Exhausted(acceptor._socket))
    return attempts


async def test_a_system_without_descriptors_is_asked_again_with_the_tick(
    data_plane: Any, backends: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = serve(data_plane, data_plane.pool(await backends.named("good")))
    attempts = await refuse_accepts(monkeypatch, data_plane, [key])
    with knock(key) as client:
        await until(lambda: len(attempts) == 1)
        for _ in range(50):
            await asyncio.sleep(0)
        # A tick may have come meanwhile.
        assert len(attempts) <= 2
        data_plane.worker._listeners[key]._acceptor._socket.refuses = False
        assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 10), 10) == b"good"


async def test_two_listeners_without_descriptors_do_not_wake_each_other(
    data_plane: Any, backends: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = await backends.named("good")
    keys = [serve(data_plane, data_plane.pool(good, key=name)) for name in ("a", "b")]
    attempts = await refuse_accepts(monkeypatch, data_plane, keys)
    with knock(keys[0]), knock(keys[1]):
        await until(lambda: len(attempts) == 2)
        for _ in range(50):
            await asyncio.sleep(0)
        # One of them may have had its turn with a tick meanwhile.
        assert len(attempts) <= 4


async def test_a_burst_grows_with_the_crowd_and_shrinks_with_it(data_plane: Any, backends: Any) -> None:
    key = serve(data_plane, data_plane.pool(await backends.echo()))
    acceptor = acceptor_of(data_plane, key)
    clients = [knock(key) for _ in range(40)]
    await until(lambda: data_plane.worker.open_relays == 40)
    assert acceptor._burst > 8
    for client in clients:
        client.close()
    for _ in range(10):
        with knock(key):
            await until(lambda: data_plane.worker.open_relays == 1)
        await until(lambda: data_plane.worker.open_relays == 0)
    assert acceptor._burst <= 2


@pytest.mark.interpreted
async def test_a_defect_while_dialling_costs_that_client_alone(
    data_plane: Any, backends: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pool = data_plane.pool(await backends.named("good"))
    key = serve(data_plane, pool)

    def fail(*arguments: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(RoundRobin, "pick", fail)
        with pytest.raises(ConnectionError):
            await ask(key)
    (record,) = await data_plane.records_of(1)
    assert record["reason"] == "error"
    assert "handler failed" in caplog.text
    assert await ask(key) == b"good"


async def test_who_waits_in_the_backlog_is_served_when_the_frontend_goes(data_plane: Any, backends: Any) -> None:
    key = serve(data_plane, data_plane.pool(await backends.named("good")))
    with knock(key) as one, knock(key) as other:
        data_plane.apply(Delta(removed_frontends=(key,)), {})
        loop = asyncio.get_running_loop()
        assert [await asyncio.wait_for(loop.sock_recv(client, 10), 10) for client in (one, other)] == [b"good"] * 2
    with pytest.raises(ConnectionRefusedError):
        await ask(key)


async def test_the_address_that_was_asked_is_known_where_the_scheduler_needs_it(data_plane: Any, backends: Any) -> None:
    targets = [await backends.named(name, f"127.0.0.{number}") for number, name in enumerate("abcde", 1)]
    key = serve(data_plane, data_plane.pool(*targets, scheduler="dh"), "0.0.0.0")
    answers = {
        address: {await ask(FrontendKey("TCP", address, key.port)) for _ in range(3)}
        for address in (f"127.0.1.{number}" for number in range(12))
    }
    assert {len(names) for names in answers.values()} == {1}
    assert len(set.union(*answers.values())) > 1
