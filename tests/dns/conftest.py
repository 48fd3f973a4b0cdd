"""A small cluster in objects, its index, and a server for it, for the tests of this folder."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.dns.name_index import NameIndex
from proxy.dns.name_server import NameServer
from proxy.dns.settings import USUAL_BOUNDS, DNSBounds, DNSSettings
from proxy.model.changes import Changes
from tests.dns.asking import Client
from tests.dns.objects import endpoint, endpoint_slice, named_port, service
from tests.dns.serving import Handle, StartServer, StartUpstream, Upstream, two_sockets


@pytest.fixture
def index() -> NameIndex:
    """Services of every kind, as tests/dns/test_specification.py names them."""
    made = NameIndex("cluster.local", ("10.96.0.0/12", "fd00:96::/112"))
    pods = [
        endpoint("10.244.1.1", hostname="one"),
        endpoint("10.244.1.2"),
        endpoint("10.244.1.3", hostname="three", ready=False),
    ]
    pods6 = [endpoint("2001:db8::1", hostname="one")]
    http = named_port("http", 8080)
    dual = [endpoint("10.244.2.1", hostname="both"), endpoint("10.244.2.2", hostname="both")]
    dual6 = [endpoint("2001:db8:0:1:0:0:0:2", hostname="both")]
    made.apply(
        Changes(
            services=(
                service("web", "10.96.1.1", "fd00:96::1:1", ports=[("http", "TCP", 80), ("dns", "UDP", 53)]),
                service("bare", "10.96.1.2", ports=[("", "TCP", 80)]),
                service("pods", "None", ports=[("http", "TCP", 80)]),
                service("all", "None", ports=[("http", "TCP", 80)], publishNotReadyAddresses=True),
                service("empty", "None", ports=[("http", "TCP", 80)]),
                service("unnamed", "None", ports=[("", "TCP", 80)]),
                service("dual", "None", ports=[("http", "TCP", 80), ("dns", "UDP", 53)]),
                service("outside", type="ExternalName", externalName="foo.bar.example.com"),
                service("inside", type="ExternalName", externalName="web.default.svc.cluster.local"),
                service("ring", type="ExternalName", externalName="ring.default.svc.cluster.local"),
            ),
            slices=(
                endpoint_slice("pods", "pods-4", pods, [http]),
                endpoint_slice("pods", "pods-6", pods6, [http], family="IPv6"),
                endpoint_slice("all", "all-4", pods, [http]),
                endpoint_slice("empty", "empty-4", [endpoint("10.244.9.9", ready=False)], [http]),
                endpoint_slice("unnamed", "unnamed-4", [endpoint("10.244.3.1")], [named_port("", 8080)]),
                endpoint_slice("dual", "dual-4", dual, [http, named_port("dns", 5353, "UDP")]),
                endpoint_slice("dual", "dual-6", dual6, [http, named_port("dns", 5353, "UDP")], family="IPv6"),
            ),
        )
    )
    made.serve_at(["10.96.0.10"])
    return made


@pytest.fixture
def client(index: NameIndex) -> Client:
    return Client(index)


@pytest.fixture
def stream_client(index: NameIndex) -> Client:
    return Client(index, datagrams=False)


@pytest.fixture
async def upstream() -> AsyncIterator[StartUpstream]:
    started: list[tuple[Upstream, asyncio.Server]] = []

    async def start(handle: Handle) -> Upstream:
        loop = asyncio.get_running_loop()
        udp, tcp = two_sockets("127.0.0.1")
        _, protocol = await loop.create_datagram_endpoint(lambda: Upstream(handle), sock=udp)
        started.append((protocol, await asyncio.start_server(protocol.converse, sock=tcp)))
        return protocol

    yield start
    for protocol, server in started:
        protocol.transport.close()
        server.close()
        await server.wait_closed()


@pytest.fixture
async def serve() -> AsyncIterator[StartServer]:
    started: list[NameServer] = []

    async def start(
        *upstreams: tuple[str, int], host: str = "127.0.0.1", bounds: DNSBounds = USUAL_BOUNDS
    ) -> NameServer:
        server = NameServer(DNSSettings(upstream=tuple(upstreams) or "none"), ("10.96.0.0/12",), bounds)
        started.append(server)
        server.apply(
            Changes(
                services=(
                    service("web", "10.96.0.1"),
                    service("pods", "None"),
                    service("outside", type="ExternalName", externalName="www.example"),
                ),
                slices=(endpoint_slice("pods", "s", [endpoint(f"10.1.{i // 250}.{i % 250}") for i in range(1000)]),),
            )
        )
        await server.serve(*two_sockets(host))
        return server

    yield start
    before = asyncio.all_tasks()
    for each in started:
        await each.close()
    assert {task for task in before if not task.done()} == {asyncio.current_task()}
