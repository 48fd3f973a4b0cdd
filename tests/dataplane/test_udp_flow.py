"""One UDP flow: what it counts, and how it ends."""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.reply_queue import ReplyQueue
from proxy.dataplane.udp_flow import UdpFlow
from proxy.plan.frontend import FrontendKey, Target
from tests.dataplane.datagrams import Client, StartServer, dns


@contextmanager
def datagrams() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)


def received(sock: socket.socket) -> tuple[bytes, Any] | None:
    try:
        return sock.recvfrom(100)
    except BlockingIOError:
        return None


async def from_client(
    data_plane: Any, key: FrontendKey, client: socket.socket, backend: socket.socket
) -> tuple[UdpFlow, Any]:
    """The flow after one datagram, and the address that the backend sees."""
    client.sendto(b"question", (key.address, key.port))
    heard: list[tuple[bytes, Any]] = []

    def hears() -> bool:
        datagram = received(backend)
        heard.extend([datagram] if datagram else [])
        return bool(heard)

    await until(hears)
    (flow,) = data_plane.worker._listeners[key].flows.values()
    assert isinstance(flow, UdpFlow)
    return flow, heard[0][1]


def serve(data_plane: Any, backend: socket.socket) -> FrontendKey:
    pool = data_plane.pool(Target(*backend.getsockname()), key="dns", protocol="UDP")
    key = data_plane.serve(pool)
    assert isinstance(key, FrontendKey)
    return key


async def test_both_ways_are_counted_and_the_first_answer_timed(data_plane: Any) -> None:
    with datagrams() as client, datagrams() as backend:
        key = serve(data_plane, backend)
        flow, proxy_address = await from_client(data_plane, key, client, backend)
        for answer in (b"one", b"two"):
            backend.sendto(answer, proxy_address)
            await until(lambda: received(client))
        flow.end(CloseReason.SHUTDOWN)
        flow.end(CloseReason.ERROR)
    (record,) = data_plane.records()
    assert (record["bytesIn"], record["bytesOut"], record["reason"]) == (8, 6, "shutdown")
    assert record["connectMs"] is not None
    assert record["client"].startswith("127.0.0.1:")


async def test_a_flow_that_was_never_answered_has_no_connect_time(data_plane: Any) -> None:
    with datagrams() as client, datagrams() as backend:
        flow, _ = await from_client(data_plane, serve(data_plane, backend), client, backend)
        flow.end(CloseReason.SHUTDOWN)
    (record,) = data_plane.records()
    assert (record["bytesIn"], record["bytesOut"], record["connectMs"]) == (8, 0, None)


async def test_nobody_but_the_upstream_can_answer(data_plane: Any) -> None:
    with datagrams() as client, datagrams() as backend, datagrams() as stranger:
        _, proxy_address = await from_client(data_plane, serve(data_plane, backend), client, backend)
        stranger.sendto(b"forged", proxy_address)
        backend.sendto(b"real", proxy_address)
        answers: list[tuple[bytes, Any]] = []

        def heard() -> bool:
            datagram = received(client)
            answers.extend([datagram] if datagram else [])
            return bool(answers)

        await until(heard)
        assert [data for data, _ in answers] == [b"real"]


async def test_an_answer_forgives_the_upstream(data_plane: Any) -> None:
    with datagrams() as client, datagrams() as backend:
        flow, proxy_address = await from_client(data_plane, serve(data_plane, backend), client, backend)
        flow.upstream.failures = 3
        backend.sendto(b"answer", proxy_address)
        await until(lambda: received(client))
        assert flow.upstream.failures == 0


async def test_a_flow_is_counted_once_however_it_ends(data_plane: Any) -> None:
    with datagrams() as client, datagrams() as backend:
        flow, _ = await from_client(data_plane, serve(data_plane, backend), client, backend)
        assert flow.upstream.open_here == 1
        flow.not_sent(ConnectionRefusedError())
        flow.not_sent(ConnectionRefusedError())
        assert (flow.upstream.open_here, flow.upstream.failures) == (0, 1)


@pytest.mark.interpreted
async def test_a_defect_ends_the_flow_alone(
    data_plane: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object) -> None:
        raise ZeroDivisionError

    with datagrams() as client, datagrams() as backend:
        key = serve(data_plane, backend)
        flow, proxy_address = await from_client(data_plane, key, client, backend)
        monkeypatch.setattr(ReplyQueue, "put", fail)
        backend.sendto(b"answer", proxy_address)
        await until(lambda: flow.over)
        assert "handler failed" in caplog.text
        another, _ = await from_client(data_plane, key, client, backend)
        assert another is not flow


async def test_a_datagram_that_cannot_be_sent_elsewhere_either_is_lost(data_plane: Any) -> None:
    with datagrams() as client, datagrams() as backend, datagrams() as other:
        key = serve(data_plane, backend)
        flow, _ = await from_client(data_plane, key, client, backend)
        targets = (Target(*backend.getsockname()), Target(*other.getsockname()))
        data_plane.change(data_plane.pool(*targets, key="dns", protocol="UDP"))
        listener = data_plane.worker._listeners[key]
        too_long = memoryview(bytes(70_000))
        listener.not_sent(flow, too_long, ConnectionRefusedError())
        assert flow.over
        # It is lost, as on any path that is too narrow; the flow that it began goes on.
        (again,) = listener.flows.values()
        assert again.upstream.port == other.getsockname()[1]
        (refused,) = await data_plane.records_of(1)
        assert refused["reason"] == "connect_refused"


@pytest.mark.parametrize("number", [errno.EMSGSIZE, errno.ENOBUFS, errno.ENOMEM])
async def test_a_datagram_that_does_not_fit_is_lost_and_the_flow_goes_on(data_plane: Any, number: int) -> None:
    with datagrams() as client, datagrams() as backend:
        flow, proxy_address = await from_client(data_plane, serve(data_plane, backend), client, backend)
        flow.not_sent(OSError(number, "lost"))
        assert not flow.over
        assert flow.upstream.failures == 0
        backend.sendto(b"answer", proxy_address)
        await until(lambda: received(client))
    assert data_plane.records() == []


async def test_a_routers_word_about_an_earlier_datagram_does_not_end_the_flow(
    data_plane: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    with datagrams() as client, datagrams() as backend:
        flow, proxy_address = await from_client(data_plane, serve(data_plane, backend), client, backend)
        told: list[int] = []

        def too_long(free: memoryview) -> int:
            told.append(1)
            raise OSError(errno.EMSGSIZE, "Message too long")

        receive = flow._receive
        monkeypatch.setattr(flow, "_receive", too_long)
        backend.sendto(b"answer", proxy_address)
        await until(lambda: told)
        monkeypatch.setattr(flow, "_receive", receive)
        await until(lambda: received(client))
        assert not flow.over


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_routers_may_cut_what_a_flow_sends(
    data_plane: Any, server: StartServer, client: Client, host: str
) -> None:
    key = data_plane.serve(dns(data_plane, await server("", host)), host)
    assert await client(key).ask(b"x") == b"x"
    (flow,) = data_plane.worker._listeners[key].flows.values()
    option = (socket.IPPROTO_IPV6, 23) if ":" in host else (socket.IPPROTO_IP, 10)
    assert flow._socket.getsockopt(*option) == 0
