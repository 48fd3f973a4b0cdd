"""The table of endpoints, cell by cell."""

from typing import Any

import msgspec

from proxy.model.service import Service
from proxy.reports.endpoint_table import render_endpoints
from proxy.reports.report import EndpointReport, PoolReport, ServiceReport


def endpoint(address: str = "127.0.0.1", **changes: Any) -> EndpointReport:
    values: dict[str, Any] = {"port": 8080, "pod": "web-1", "weight": 1, "active": 2, "inactive": 3, "failing": False}
    return EndpointReport(address=address, **(values | changes))


def report(*endpoints: EndpointReport, port_name: str = "http") -> ServiceReport:
    document = {"metadata": {"name": "web", "namespace": "shop"}, "spec": {}}
    pool = PoolReport("shop/web", port_name, "TCP", "rr", 0, endpoints)
    return ServiceReport(msgspec.convert(document, Service), (), (pool,), ())


def cells(of: ServiceReport, namespaces: bool = False) -> list[list[str]]:
    return [line.split() for line in render_endpoints([of], namespaces).splitlines()]


def test_every_endpoint_has_a_row_with_its_counts() -> None:
    assert cells(report(endpoint(), endpoint("127.0.0.2", pod="web-2"))) == [
        ["SERVICE", "PORT", "SCHEDULER", "ENDPOINT", "POD", "WEIGHT", "ACTIVE", "INACTIVE", "STATE"],
        ["web", "http/TCP", "rr", "127.0.0.1:8080", "web-1", "1", "2", "3", "ready"],
        ["web", "http/TCP", "rr", "127.0.0.2:8080", "web-2", "1", "2", "3", "ready"],
    ]


def test_the_namespace_comes_first_where_it_is_asked_for() -> None:
    header, row = cells(report(endpoint()), namespaces=True)
    assert (header[0], row[0]) == ("NAMESPACE", "shop")


def test_what_has_no_name_says_so() -> None:
    _, row = cells(report(endpoint(pod=""), port_name=""))
    assert (row[1], row[4]) == ("<unset>/TCP", "<none>")


def test_ipv6_gets_brackets() -> None:
    _, row = cells(report(endpoint("::1")))
    assert row[3] == "[::1]:8080"


def test_an_endpoint_is_draining_refusing_or_ready() -> None:
    states = [endpoint(weight=0, failing=True), endpoint(failing=True), endpoint()]
    assert [row[-1] for row in cells(report(*states))[1:]] == ["draining", "refusing", "ready"]


def test_a_service_without_endpoints_has_no_row() -> None:
    assert len(cells(report())) == 1
