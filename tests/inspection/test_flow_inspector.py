"""Questions to a running proxy about its flows; what it explains, a real client then finds."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from proxy.model.changes import Changes
from proxy.reports.explanation_report import ExplanationReport, Verdict
from tests.lane import free_port

ADDRESS = "127.96.7.1"
Listening = Callable[..., Awaitable[Any]]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
async def backend_port() -> AsyncIterator[int]:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"a")
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


@pytest.fixture
def listening(run_proxy: Any, make_service: Any, port: int) -> Listening:
    """Runs a proxy with the Service `web` on ADDRESS and `port`, and these slices."""

    async def start(*slices: Any, **spec: Any) -> Any:
        running = await run_proxy(Changes(services=(make_service(port=port, **spec),), slices=slices))
        await running.listening.wait()
        return running.seen

    return start


async def explain(proxy: Any, port: int, client: str = "127.0.0.1", address: str = ADDRESS) -> ExplanationReport:
    report = await proxy.flows.explain("TCP", address, port, client, 0)
    assert isinstance(report, ExplanationReport)
    return report


async def test_who_is_foreseen_serves(listening: Listening, make_slice: Any, port: int, backend_port: int) -> None:
    proxy = await listening(make_slice(backend_port), sessionAffinity="ClientIP")
    before = await explain(proxy, port)
    assert (before.verdict, before.frontend) == (Verdict.SERVED, f"{ADDRESS}:{port}/TCP")
    assert [(each.endpoint, each.chance) for each in before.endpoints] == [(f"127.0.0.1:{backend_port}", 1.0)]
    assert (await proxy.flows.affinity("", "", 10)).affinity == ()
    reader, writer = await asyncio.open_connection(ADDRESS, port)
    assert await reader.read() == b"a"
    writer.close()
    (entry,) = (await proxy.flows.affinity("default", "web", 10)).affinity
    assert (entry.client, entry.service, entry.endpoint, entry.pod) == (
        "127.0.0.1",
        "default/web",
        f"127.0.0.1:{backend_port}",
        "web-pod",
    )
    after = await explain(proxy, port)
    assert "is bound to" in next(step.text for step in after.steps if step.name == "affinity")


async def test_connections_are_listed(listening: Listening, make_slice: Any, port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as backend:
        proxy = await listening(make_slice(backend.getsockname()[1]))
        _, writer = await asyncio.open_connection(ADDRESS, port)
        async with asyncio.timeout(10):
            while not (await proxy.flows.connections("", "", 10)).connections:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0)
        (connection,) = (await proxy.flows.connections("default", "web", 10)).connections
        assert (connection.service, connection.worker) == ("default/web", 0)
        assert (await proxy.flows.connections("other", "", 10)).connections == ()
        writer.close()


async def test_who_is_refused_is_foreseen_to_be(listening: Listening, port: int) -> None:
    proxy = await listening()
    assert (await explain(proxy, port)).verdict is Verdict.REFUSED
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(ADDRESS, port)


async def test_a_port_that_is_taken_is_not_proxied(listening: Listening, make_slice: Any, port: int) -> None:
    with socket.create_server((ADDRESS, port)):
        proxy = await listening(make_slice(1))
        report = await explain(proxy, port)
    assert report.verdict is Verdict.NOT_PROXIED
    assert report.steps[-1].name == "socket"


@pytest.mark.parametrize(("address", "said"), [("127.0.0.1", False), ("192.0.2.1", True), ("2001:db8::1", True)])
async def test_an_address_of_nobody_is_not_proxied(
    listening: Listening, make_slice: Any, port: int, address: str, said: bool
) -> None:
    report = await explain(await listening(make_slice(1)), port, "", address)
    assert report.verdict is Verdict.NOT_PROXIED
    assert ("is no address of this machine" in report.steps[0].text) is said


async def test_a_service_is_explained_address_by_address(listening: Listening, make_slice: Any, port: int) -> None:
    proxy = await listening(make_slice(1), externalIPs=["127.0.0.77"])
    reports = await proxy.flows.explain_service(("default", "web"), "127.0.0.9")
    assert [report.address for report in reports] == [ADDRESS, "127.0.0.77"]
    assert {report.verdict for report in reports} == {Verdict.SERVED}
    assert await proxy.flows.explain_service(("default", "web"), "::1") == ()
    assert await proxy.flows.explain_service(("default", "none"), "") is None
