"""healthCheckNodePorts on real sockets."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from typing import Any

import aiohttp
import psutil
import pytest

from proxy.capture import port_holder
from proxy.control import health_check_ports
from proxy.control.health_check_ports import HealthCheckPorts
from proxy.plan.addresses import with_port
from proxy.plan.health_check import HealthCheck
from proxy.serving.bounded_connections import USUAL_BOUNDS
from tests.lane import free_port

WEB = ("shop", "web")
HERE = ("127.0.0.1", "::1")


class Running:
    """Ports with the state that a test gives them."""

    def __init__(self) -> None:
        self.healthy = True
        self.failures = 0
        self.held = 0
        self.ports = HealthCheckPorts(lambda: self.healthy, self._failed, self._hold)

    def _failed(self) -> None:
        self.failures += 1

    def _hold(self, descriptors: int) -> None:
        self.held += descriptors

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110 - another task's doing is looked at
                await asyncio.sleep(0.005)

    async def ask(self, host: str, port: int, method: str = "GET", path: str = "/") -> tuple[int, dict[str, str], str]:
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"
        async with aiohttp.ClientSession() as session, session.request(method, url) as response:
            return response.status, dict(response.headers), await response.text()


@pytest.fixture
async def running(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setattr(health_check_ports, "RETRY", 0.05)
    running = Running()
    task = asyncio.create_task(running.ports.run())
    yield running
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not list(running.ports.listening)
    assert running.held == 0


@pytest.fixture
def port() -> int:
    return free_port()


def checks(port: int, count: int = 1, families: tuple[str, ...] = ("IPv4", "IPv6")) -> tuple[HealthCheck, ...]:
    return tuple(HealthCheck(WEB, family, port, count) for family in families)


@pytest.mark.parametrize("host", HERE)
@pytest.mark.parametrize(("method", "path"), [("GET", "/healthz"), ("POST", "/any/thing?at=all"), ("HEAD", "/")])
async def test_any_path_and_method_is_answered(running: Running, port: int, host: str, method: str, path: str) -> None:
    running.ports.apply(checks(port), HERE)
    await running.until(lambda: len(list(running.ports.listening)) == 2)
    status, headers, text = await running.ask(host, port, method, path)
    assert (status, headers["X-Load-Balancing-Endpoint-Weight"]) == (200, "1")
    assert ('"localEndpoints": 1' in text) == (method != "HEAD")


async def test_a_family_that_the_service_has_not_is_not_listened_on(running: Running, port: int) -> None:
    running.ports.apply(checks(port, families=("IPv6",)), HERE)
    await running.until(lambda: list(running.ports.listening) == [("::1", port)])


async def test_counts_and_health_are_those_of_the_moment(running: Running, port: int) -> None:
    running.ports.apply(checks(port), HERE)
    await running.until(lambda: list(running.ports.listening))
    running.ports.apply(checks(port, 0), HERE)
    assert (await running.ask("127.0.0.1", port))[0] == 503
    running.ports.apply(checks(port, 3), HERE)
    assert (await running.ask("127.0.0.1", port))[0] == 200
    running.healthy = False
    status, _, text = await running.ask("127.0.0.1", port)
    assert (status, '"serviceProxyHealthy": false' in text) == (503, True)


@pytest.mark.parametrize("host", HERE)
async def test_those_who_say_nothing_keep_no_load_balancer_out(running: Running, port: int, host: str) -> None:
    running.ports.apply(checks(port), HERE)
    await running.until(lambda: len(list(running.ports.listening)) == 2)
    async with contextlib.AsyncExitStack() as stack:
        readers = []
        for _ in range(USUAL_BOUNDS.health + 1):
            reader, writer = await asyncio.open_connection(host, port)
            stack.callback(writer.close)
            readers.append(reader)
        assert (await running.ask(host, port))[0] == 200
        assert await readers[0].read() == b""


async def test_the_port_closes_with_the_service(running: Running, port: int) -> None:
    running.ports.apply(checks(port), HERE)
    await running.until(lambda: list(running.ports.listening))
    running.ports.apply((), HERE)
    await running.until(lambda: not list(running.ports.listening))
    for host in HERE:
        with pytest.raises(aiohttp.ClientConnectorError):
            await running.ask(host, port)


async def test_a_client_that_stays_connected_learns_that_the_service_is_gone(running: Running, port: int) -> None:
    running.ports.apply(checks(port), HERE)
    await running.until(lambda: list(running.ports.listening))
    async with aiohttp.ClientSession() as session:
        async with session.get(f"http://127.0.0.1:{port}/") as response:
            assert response.status == 200
            await response.read()
        running.ports.apply((), HERE)
        async with session.get(f"http://127.0.0.1:{port}/") as response:
            assert response.status == 503


async def test_a_port_that_is_taken_is_told_once_and_had_when_it_is_free(running: Running, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        running.ports.apply(checks(port), HERE)
        await running.until(lambda: list(running.ports.listening) == [("::1", port)])
        await running.until(lambda: running.failures)
        (problem,) = running.ports.problems
        assert (problem.subject, problem.reason) == ("Service shop/web", "FailedToStartServiceHealthcheck")
        assert f"cannot listen on 127.0.0.1:{port} for health checks: port {port} is taken" in problem.message
        running.ports.apply(checks(port, 2), HERE)
        await asyncio.sleep(0)
    await running.until(lambda: not running.ports.problems)
    assert ("127.0.0.1", port) in running.ports.listening
    assert running.failures == 1


async def test_descriptors_are_told_and_those_of_the_rest_left_alone(running: Running, port: int) -> None:
    running.ports._descriptors = 0
    running.ports.apply(checks(port), HERE)
    await running.until(lambda: running.failures == 2)
    reason = "too few file descriptors: raise the limit on open files (ulimit -n, LimitNOFILE)"
    assert {problem.message for problem in running.ports.problems} == {
        f"cannot listen on {with_port(host, port)} for health checks: {reason}" for host in HERE
    }
    assert running.held == 0
    running.ports._descriptors = 1 << 20
    await running.until(lambda: not running.ports.problems)
    assert running.held == len(list(running.ports.listening)) == 2
    running.ports.apply(checks(port, families=("IPv4",)), HERE)
    await running.until(lambda: len(list(running.ports.listening)) == 1)
    assert running.held == 1


async def test_who_holds_the_ports_is_looked_up_once_a_change(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To find a holder reads every process of the machine."""
    looked_up: list[object] = []

    def look_up(protocol: str, places: Collection[port_holder.Place]) -> Mapping[port_holder.Place, str]:
        looked_up.append(places)
        return port_holder.holders_of(protocol, places)

    monkeypatch.setattr(health_check_ports, "holders_of", look_up)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(20)]
        wanted = tuple(HealthCheck(("shop", f"web{port}"), "IPv4", port, 1) for port in held)
        running.ports.apply(wanted, HERE)
        await running.until(lambda: running.failures == len(held))
        assert len(looked_up) == 1
        holder = f"by {psutil.Process().name()} (pid {os.getpid()})"
        assert all(holder in problem.message for problem in running.ports.problems)
        await asyncio.sleep(3 * health_check_ports.RETRY)
        assert len(looked_up) == 1


async def test_a_socket_that_will_not_listen_costs_its_own_port_alone(
    running: Running, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, other = asyncio.get_running_loop(), free_port()
    create_server = loop.create_server

    async def refuse_one(*arguments: Any, sock: socket.socket, **options: Any) -> asyncio.AbstractServer:
        if sock.getsockname()[1] == port:
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        return await create_server(*arguments, sock=sock, **options)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "create_server", refuse_one)
        running.ports.apply((*checks(port, families=("IPv4",)), *checks(other, families=("IPv4",))), HERE)
        await running.until(lambda: list(running.ports.listening) == [("127.0.0.1", other)])
        await running.until(lambda: running.failures == 1)
    await running.until(lambda: ("127.0.0.1", port) in running.ports.listening)
    assert not running.ports.problems
    assert running.held == 2


@pytest.mark.parametrize("said", [b"", b"GET /", b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"])
async def test_a_client_that_stays_does_not_keep_the_process_at_the_end(port: int, said: bytes) -> None:
    running = Running()
    task = asyncio.create_task(running.ports.run())
    running.ports.apply(checks(port), HERE)
    await running.until(lambda: len(list(running.ports.listening)) == 2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    if said.endswith(b"\r\n\r\n"):
        await reader.readuntil(b"\r\n\r\n")
    else:
        await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(task, return_exceptions=True)
        with contextlib.suppress(ConnectionError):
            await reader.read()
    writer.close()
