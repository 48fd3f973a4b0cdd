"""The proxy as a whole, run in this process with a source that the test scripts."""

import asyncio
import errno
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from proxy.model.changes import Changes
from proxy.model.problem import Problem
from proxy.startup_error import StartupError
from tests.lane import free_port


@pytest.fixture
def port() -> int:
    return free_port()


async def backend(answer: bytes) -> asyncio.Server:
    """Says its answer and closes, or waits for the client's end where it has none."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        try:
            if not answer:
                await reader.read()
        except ConnectionResetError:
            # A relay that was cut ends this way.
            return
        finally:
            writer.close()

    return await asyncio.start_server(serve, "127.0.0.1", 0)


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


async def ask(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.96.7.1", port)
    try:
        return await reader.read()
    finally:
        writer.close()


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.96.7.1", port)) == errno.ECONNREFUSED


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


async def test_it_serves_what_the_source_says_and_follows_it(
    run_proxy: Any, make_service: Any, make_slice: Any, port: int
) -> None:
    async with await backend(b"one") as one, await backend(b"other") as other:
        running = await run_proxy(Changes(services=(make_service(port=port),), slices=(make_slice(port_of(one)),)))
        await asyncio.wait_for(running.listening.wait(), 10)
        assert running.seen.ready
        assert await ask(port) == b"one"
        before = running.seen.health().last_updated
        running.source.put(Changes(slices=(make_slice(port_of(other)),)))
        await until(lambda: running.seen.health().last_updated > before)
        assert await ask(port) == b"other"
        (key,) = running.seen.service_keys()
        service = running.seen.service_report(key)
        assert service is not None
        assert [endpoint.pod for endpoint in service.pools[0].endpoints] == ["web-pod"]


async def test_nothing_listens_before_the_first_complete_state(run_proxy: Any, port: int) -> None:
    running = await run_proxy()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not running.seen.ready
    with pytest.raises(ConnectionRefusedError):
        await ask(port)


async def test_a_signal_ends_an_idle_proxy_at_once_and_cleanly(run_proxy: Any, make_service: Any, port: int) -> None:
    running = await run_proxy(Changes(services=(make_service(port=port),)))
    await asyncio.wait_for(running.listening.wait(), 10)
    terminate()
    assert await asyncio.wait_for(running.task, 10) == 0
    assert running.source.ended
    assert not running.seen.ready
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.96.7.1", port))


async def test_connections_may_finish_after_a_signal(
    run_proxy: Any, make_service: Any, make_slice: Any, port: int
) -> None:
    async with await backend(b"") as server:
        running = await run_proxy(Changes(services=(make_service(port=port),), slices=(make_slice(port_of(server)),)))
        await asyncio.wait_for(running.listening.wait(), 10)
        _, writer = await asyncio.open_connection("127.96.7.1", port)
        await until(lambda: running.seen.workers()[0].tcp_connections)
        terminate()
        await until(lambda: running.seen.draining and refuses(port))
        assert not running.task.done()
        writer.transport.abort()
        assert await asyncio.wait_for(running.task, 10) == 0


@pytest.mark.parametrize("ends", ["grace", "second signal"])
async def test_what_does_not_finish_is_cut(
    run_proxy: Any, make_service: Any, make_slice: Any, port: int, ends: str
) -> None:
    async with await backend(b"") as server:
        running = await run_proxy(
            Changes(services=(make_service(port=port),), slices=(make_slice(port_of(server)),)),
            grace=0.1 if ends == "grace" else 1000.0,
        )
        await asyncio.wait_for(running.listening.wait(), 10)
        reader, writer = await asyncio.open_connection("127.96.7.1", port)
        await until(lambda: running.seen.workers()[0].tcp_connections)
        terminate()
        await until(lambda: running.seen.draining)
        if ends != "grace":
            terminate()
        assert await asyncio.wait_for(running.task, 10) == 0
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


async def test_a_hangup_rereads_the_source_and_the_configuration(run_proxy: Any, make_service: Any, port: int) -> None:
    running = await run_proxy(Changes(services=(make_service(port=port),)))
    await asyncio.wait_for(running.listening.wait(), 10)
    os.kill(os.getpid(), signal.SIGHUP)
    await until(lambda: running.source.rereads == 1)
    assert running.seen.ready


async def test_a_hangup_during_the_drain_opens_nothing_again(
    run_proxy: Any, make_service: Any, make_slice: Any, port: int
) -> None:
    async with await backend(b"") as server:
        running = await run_proxy(Changes(services=(make_service(port=port),), slices=(make_slice(port_of(server)),)))
        await asyncio.wait_for(running.listening.wait(), 10)
        _, writer = await asyncio.open_connection("127.96.7.1", port)
        await until(lambda: running.seen.workers()[0].tcp_connections)
        terminate()
        await until(lambda: running.seen.draining)
        running.proxy._hangup()
        assert running.source.rereads == 0
        writer.transport.abort()
        assert await asyncio.wait_for(running.task, 10) == 0


async def test_a_configuration_that_cannot_be_reread_leaves_the_old_one(
    run_proxy: Any, make_service: Any, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise StartupError("no such key")

    running = await run_proxy(Changes(services=(make_service(port=port),)))
    await asyncio.wait_for(running.listening.wait(), 10)
    running.proxy._reload = fail
    running.proxy._hangup()
    assert "configuration not reread: no such key" in caplog.text
    assert running.source.rereads == 1


async def test_a_source_that_cannot_start_ends_the_proxy_with_its_reason(run_proxy: Any) -> None:
    running = await run_proxy(StartupError("no such directory"))
    with pytest.raises(StartupError, match="no such directory"):
        await asyncio.wait_for(running.task, 10)
    assert running.source.ended


async def test_a_port_that_was_taken_is_served_once_it_is_free(
    run_proxy: Any, make_service: Any, make_slice: Any, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.control.synchronizer.FIRST_RETRY", 0.01)
    monkeypatch.setattr("proxy.control.synchronizer.LONGEST_RETRY", 0.01)
    async with await backend(b"one") as server:
        with socket.create_server(("127.96.7.1", port)):
            running = await run_proxy(
                Changes(services=(make_service(port=port),), slices=(make_slice(port_of(server)),))
            )
            await asyncio.wait_for(running.listening.wait(), 10)
            assert "is taken by" in str(running.seen.problems())
        await until(lambda: not running.proxy._reconciler.failures)
        assert await ask(port) == b"one"
        assert not running.seen.problems()


async def test_problems_of_the_source_are_reported(run_proxy: Any, caplog: pytest.LogCaptureFixture) -> None:
    problem = Problem("is wrong", where="a.yaml")
    running = await run_proxy(Changes(problems=(problem,)))
    await asyncio.wait_for(running.listening.wait(), 10)
    assert running.seen.problems() == (problem,)
    assert "a.yaml: is wrong" in caplog.text


@pytest.mark.parametrize("part", ["_data_plane.start", "_server.start", "_name_service.stop", "_server.stop"])
async def test_whatever_fails_leaves_nothing_behind(run_proxy: Any, monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    async def fail(*arguments: object) -> None:
        if method == "stop":
            await real(*arguments)
        raise RuntimeError(part)

    before = len(os.listdir("/proc/self/fd"))
    running = await run_proxy(Changes(), workers=1)
    owner, _, method = part.partition(".")
    real = getattr(getattr(running.proxy, owner), method)
    monkeypatch.setattr(getattr(running.proxy, owner), method, fail)
    if method == "stop":
        await asyncio.wait_for(running.listening.wait(), 20)
        terminate()
    with pytest.raises(RuntimeError, match=part):
        await asyncio.wait_for(running.task, 20)
    assert not [child for child in psutil.Process().children() if "proxy.dataplane" in child.cmdline()]
    assert len(os.listdir("/proc/self/fd")) <= before
