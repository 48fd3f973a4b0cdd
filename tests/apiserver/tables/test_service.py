"""Services, Endpoints and EndpointSlices as rows of a table."""

from typing import Any

import pytest

from proxy.apiserver.tables.service import endpoint_slice_row, endpoints_row, service_row

METADATA = {"name": "web", "namespace": "default"}


def address(number: int) -> dict[str, str]:
    return {"ip": f"192.0.2.{number}"}


def test_a_node_port_service_shows_its_ports_and_selector() -> None:
    spec = {
        "type": "NodePort",
        "clusterIPs": ["10.0.0.1"],
        "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}, {"port": 53, "protocol": "UDP"}],
        "selector": {"b": "2", "a": "1"},
    }
    cells = service_row({"metadata": METADATA, "spec": spec}, 0)
    assert cells == ["web", "NodePort", "10.0.0.1", "<none>", "80:30080/TCP,53/UDP", "<unknown>", "a=1,b=2"]


def test_long_load_balancer_names_are_given_in_full_as_the_api_server_does() -> None:
    ingress = [{"hostname": "a-very-long-name.example.com"}]
    document = {
        "metadata": METADATA,
        "spec": {"type": "LoadBalancer"},
        "status": {"loadBalancer": {"ingress": ingress}},
    }
    assert service_row(document, 0)[3] == "a-very-long-name.example.com"


@pytest.mark.parametrize(
    ("subsets", "text"),
    [
        ([], "<none>"),
        ([{"notReadyAddresses": [address(1)], "ports": [{"port": 80}]}], "<none>"),
        ([{"addresses": [address(1)], "ports": [{"port": 80}, {"port": 443}]}], "192.0.2.1:80,192.0.2.1:443"),
        ([{"addresses": [address(1), address(2)]}], "192.0.2.1,192.0.2.2"),
        ([{"addresses": [{"ip": "2001:db8::1"}], "ports": [{"port": 80}]}], "[2001:db8::1]:80"),
        (
            [{"addresses": [address(each) for each in range(1, 6)], "ports": [{"port": 80}]}],
            "192.0.2.1:80,192.0.2.2:80,192.0.2.3:80 + 2 more...",
        ),
    ],
)
def test_endpoints_are_those_that_are_ready(subsets: list[Any], text: str) -> None:
    assert endpoints_row({"metadata": METADATA, "subsets": subsets}, 0) == ["web", text, "<unknown>"]


@pytest.mark.parametrize(
    ("ports", "endpoints", "texts"),
    [
        ([], [], ["<unset>", "<unset>"]),
        ([{"port": 80}, {"name": "any"}, {}], [["192.0.2.1"]], ["80,any,*", "192.0.2.1"]),
        (
            [{"port": each} for each in (1, 2, 3, 4)],
            [["192.0.2.1", "192.0.2.2"], ["192.0.2.3"], ["192.0.2.4"], ["192.0.2.5"]],
            ["1,2,3 + 1 more...", "192.0.2.1,192.0.2.2,192.0.2.3 + 2 more..."],
        ),
    ],
)
def test_a_slice_shows_three_of_each_and_how_many_more(
    ports: list[Any], endpoints: list[Any], texts: list[str]
) -> None:
    listed = [{"addresses": addresses, "conditions": {"ready": False}} for addresses in endpoints]
    document = {"metadata": METADATA, "addressType": "IPv4", "ports": ports, "endpoints": listed}
    assert endpoint_slice_row(document, 0) == ["web", "IPv4", *texts, "<unknown>"]
