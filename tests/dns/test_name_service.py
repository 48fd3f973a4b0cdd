"""Where names are answered: what is done about a place that is taken."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from proxy.configuration.config import Configuration
from proxy.dns.name_service import NameService
from proxy.dns.settings import DNSSettings
from proxy.plan.frontend import FrontendKey
from tests.lane import free_port

Start = Callable[[DNSSettings], Awaitable[NameService]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    started: list[NameService] = []

    async def started_with(settings: DNSSettings) -> NameService:
        service = NameService(Configuration(dns=settings), lambda address: False)
        started.append(service)
        await service.start()
        return service

    yield started_with
    for service in started:
        await service.stop()


async def test_a_taken_place_costs_one_warning_and_nothing_else(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    # Not one that the kernel gives: that may be another's for UDP.
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        place = taken.getsockname()
        service = await start(DNSSettings(bind_address=(place[0], place[1])))
        assert service.addresses == ()
        assert service.statistics().names > 0
        (record,) = caplog.records
        assert (
            f"cannot serve DNS: cannot listen on 127.0.0.1:{place[1]}/TCP: port {place[1]} is taken by"
            in record.message
        )


async def test_who_holds_a_place_is_looked_up_for_the_warning_alone(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[FrontendKey] = []
    enough = asyncio.Event()
    looked_up: list[int] = []

    def refuse(key: FrontendKey, **_: object) -> socket.socket:
        tries.append(key)
        if len(tries) == 8:
            enough.set()
        raise OSError(errno.EADDRINUSE, "Address already in use")

    def look_up(_protocol: str, _address: str, port: int) -> None:
        looked_up.append(port)

    monkeypatch.setattr("proxy.dns.name_service.FIRST_RETRY", 0.001)
    monkeypatch.setattr("proxy.dns.name_service.LONGEST_RETRY", 0.001)
    monkeypatch.setattr("proxy.dns.name_service.open_listening_socket", refuse)
    monkeypatch.setattr("proxy.capture.bind_failure.holder_of", look_up)
    await start(DNSSettings())
    await asyncio.wait_for(enough.wait(), 20)
    assert {key.port for key in tries} == {53, 10053}
    assert looked_up == [10053]
    assert len(caplog.records) == 1


async def test_off_is_nothing_at_all(start: Start) -> None:
    service = await start(DNSSettings(bind_address="off"))
    assert (service.addresses, list(service.names()), service.statistics().names) == ((), [], 0)
