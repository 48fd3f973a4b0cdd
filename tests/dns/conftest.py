"""A small cluster in objects, and its index, for the tests of this folder."""

from typing import Any

import dns.message
import pytest

from proxy.dns.name_index import NameIndex
from proxy.dns.responder import Responder
from proxy.model.changes import Changes
from tests.dns.objects import endpoint, endpoint_slice, named_port, service


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
    made.apply(
        Changes(
            services=(
                service("web", "10.96.1.1", "fd00:96::1:1", ports=[("http", "TCP", 80), ("dns", "UDP", 53)]),
                service("bare", "10.96.1.2", ports=[("", "TCP", 80)]),
                service("pods", "None", ports=[("http", "TCP", 80)]),
                service("all", "None", ports=[("http", "TCP", 80)], publishNotReadyAddresses=True),
                service("empty", "None", ports=[("http", "TCP", 80)]),
                service("outside", type="ExternalName", externalName="foo.bar.example.com"),
                service("inside", type="ExternalName", externalName="web.default.svc.cluster.local"),
                service("ring", type="ExternalName", externalName="ring.default.svc.cluster.local"),
            ),
            slices=(
                endpoint_slice("pods", "pods-4", pods, [http]),
                endpoint_slice("pods", "pods-6", pods6, [http], family="IPv6"),
                endpoint_slice("all", "all-4", pods, [http]),
                endpoint_slice("empty", "empty-4", [endpoint("10.244.9.9", ready=False)], [http]),
            ),
        )
    )
    made.serve_at(["10.96.0.10"])
    return made


class Client:
    """Asks a responder as a resolver would."""

    def __init__(self, index: NameIndex, datagrams: bool = True) -> None:
        self.responder = Responder(index, 5, datagrams, recursive=False)

    def ask(self, name: str, record_type: str = "A", **options: Any) -> dns.message.Message:
        query = dns.message.make_query(name, record_type, **options)
        response = self.responder.respond(query.to_wire())
        assert isinstance(response, bytes)
        message = dns.message.from_wire(response)
        assert query.is_response(message)
        return message


@pytest.fixture
def client(index: NameIndex) -> Client:
    return Client(index)


@pytest.fixture
def stream_client(index: NameIndex) -> Client:
    return Client(index, datagrams=False)
