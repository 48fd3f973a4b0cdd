"""Where names are answered: what the configuration asks for, and what is done about a place that is taken."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from proxy.client_connection import ClientConnection
from proxy.config import Configuration
from proxy.control.name_service import NameService, dns_address, name_service_places
from proxy.dns.settings import DNSSettings
from proxy.plan.frontend import FrontendKey
from tests.lane import free_port

FIXED = DNSSettings(bind_address=("127.0.0.1", 5353))


@pytest.mark.parametrize(
    ("configuration", "places"),
    [
        (Configuration(), ((("127.96.0.10", 53), ("127.96.0.10", 10053)),)),
        (
            Configuration(service_cluster_ip_range=("10.96.0.0/12", "fd00:96::/112")),
            (
                (("10.96.0.10", 53), ("10.96.0.10", 10053)),
                (("fd00:96::a", 53), ("fd00:96::a", 10053)),
            ),
        ),
        (Configuration(service_cluster_ip_range=("10.0.0.0/29",)), ()),
        (Configuration(in_cluster=True), ()),
        (Configuration(client_connection=ClientConnection(kubeconfig="/k")), ()),
        (Configuration(dns=DNSSettings(bind_address="off")), ()),
        (Configuration(dns=FIXED), ((("127.0.0.1", 5353),),)),
        (Configuration(dns=FIXED, in_cluster=True), ((("127.0.0.1", 5353),),)),
    ],
)
def test_names_are_served_where_there_is_no_cluster_or_where_one_says_so(
    configuration: Configuration, places: object
) -> None:
    assert name_service_places(configuration) == places


@pytest.mark.parametrize(
    ("cidr", "address"), [("127.96.0.0/16", "127.96.0.10"), ("10.0.0.0/28", "10.0.0.10"), ("10.0.0.0/29", "")]
)
def test_the_tenth_address_is_the_clusters_dns(cidr: str, address: str) -> None:
    assert dns_address(cidr) == address


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

    monkeypatch.setattr("proxy.control.name_service.FIRST_RETRY", 0.001)
    monkeypatch.setattr("proxy.control.name_service.LONGEST_RETRY", 0.001)
    monkeypatch.setattr("proxy.control.name_service.open_listening_socket", refuse)
    monkeypatch.setattr("proxy.control.bind_failure.holder_of", look_up)
    await start(DNSSettings())
    await asyncio.wait_for(enough.wait(), 20)
    assert {key.port for key in tries} == {53, 10053}
    assert looked_up == [10053]
    assert len(caplog.records) == 1


async def test_off_is_nothing_at_all(start: Start) -> None:
    service = await start(DNSSettings(bind_address="off"))
    assert (service.addresses, list(service.names()), service.statistics().names) == ((), [], 0)
