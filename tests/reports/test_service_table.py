"""Every column of `kubectl get services`, by kind of Service."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.service import Service
from proxy.reports.service_table import ServiceRow, render, rows

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC).timestamp()
BALANCED_BY_NAME = {"loadBalancer": {"ingress": [{"hostname": "balancer.example.com"}]}}


def service(name: str = "web", namespace: str = "default", created: str = "", **fields: Any) -> Service:
    """A Service as the API has it; `status` is its status, everything else goes to its spec."""
    status = fields.pop("status", {})
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": created}
    return msgspec.convert({"metadata": metadata, "spec": {"type": "ClusterIP", **fields}, "status": status}, Service)


def row(of: Service, *, wide: bool = False) -> ServiceRow:
    (only,) = rows([of], NOW, wide=wide)
    return only


@pytest.mark.parametrize(
    ("fields", "cluster_ip"),
    [
        ({"clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7"]}, "10.0.0.7"),
        ({"clusterIP": "10.0.0.7", "clusterIPs": ["10.0.0.7", "fd00::7"]}, "10.0.0.7"),
        ({"clusterIP": "None", "clusterIPs": ["None"]}, "None"),
        ({"type": "ExternalName", "externalName": "a.example.com"}, "<none>"),
    ],
)
def test_cluster_ip_is_the_first_one(fields: dict[str, Any], cluster_ip: str) -> None:
    assert row(service(**fields)).cluster_ip == cluster_ip


@pytest.mark.parametrize(
    ("fields", "external_ip"),
    [
        ({}, "<none>"),
        ({"externalIPs": ["192.0.2.2", "192.0.2.1"]}, "192.0.2.2,192.0.2.1"),
        ({"type": "NodePort"}, "<none>"),
        ({"type": "NodePort", "externalIPs": ["192.0.2.1"]}, "192.0.2.1"),
        ({"type": "ExternalName", "externalName": "foo.bar.example.com"}, "foo.bar.example.com"),
        ({"type": "LoadBalancer"}, "<pending>"),
        ({"type": "LoadBalancer", "externalIPs": ["192.0.2.1"]}, "192.0.2.1"),
        ({"type": "LoadBalancer", "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.9"}]}}}, "198.51.100.9"),
        ({"type": "LoadBalancer", "status": BALANCED_BY_NAME}, "balancer.exam..."),
        (
            {"type": "LoadBalancer", "externalIPs": ["192.0.2.1"], "status": BALANCED_BY_NAME},
            "balancer.exam...,192.0.2.1",
        ),
        (
            {"type": "LoadBalancer", "status": {"loadBalancer": {"ingress": [{"ip": "9.9.9.9"}, {"ip": "1.1.1.1"}]}}},
            "1.1.1.1,9.9.9.9",
        ),
        (
            {"type": "LoadBalancer", "status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}]}}},
            "1.1.1.1",
        ),
        ({"type": "LoadBalancer", "status": {"loadBalancer": {"ingress": [{}]}}}, "<pending>"),
    ],
)
def test_external_ip_follows_the_type(fields: dict[str, Any], external_ip: str) -> None:
    assert row(service(**fields)).external_ip == external_ip


@pytest.mark.parametrize(("length", "cut"), [(16, False), (17, True)])
def test_a_load_balancers_name_is_cut_above_sixteen_characters(length: int, cut: bool) -> None:
    status = {"loadBalancer": {"ingress": [{"hostname": "n" * length}]}}
    assert row(service(type="LoadBalancer", status=status)).external_ip == ("n" * 13 + "..." if cut else "n" * length)


def test_a_load_balancers_addresses_are_sorted_as_text_and_told_once() -> None:
    addresses = [f"10.0.0.{number}" for number in (9, 30, 200, 1, 4, 9, 17)]
    status = {"loadBalancer": {"ingress": [{"ip": address} for address in addresses]}}
    shown = row(service(type="LoadBalancer", status=status), wide=True).external_ip
    assert shown == "10.0.0.1,10.0.0.17,10.0.0.200,10.0.0.30,10.0.0.4,10.0.0.9"


def test_wide_shows_a_load_balancer_in_full() -> None:
    assert row(service(type="LoadBalancer", status=BALANCED_BY_NAME), wide=True).external_ip == "balancer.example.com"


@pytest.mark.parametrize(
    ("ports", "text"),
    [
        ([], "<none>"),
        ([{"port": 80, "protocol": "TCP"}], "80/TCP"),
        ([{"port": 80, "protocol": "TCP", "nodePort": 30080}], "80:30080/TCP"),
        (
            [
                {"port": 53, "protocol": "UDP", "name": "a"},
                {"port": 53, "protocol": "TCP", "nodePort": 30053, "name": "b"},
            ],
            "53/UDP,53:30053/TCP",
        ),
    ],
)
def test_ports_name_the_node_port_and_the_protocol(ports: list[dict[str, object]], text: str) -> None:
    assert row(service(ports=ports)).ports == text


@pytest.mark.parametrize(
    ("created", "age"),
    [
        ("2026-03-01T11:59:15Z", "45s"),
        ("2026-03-01T13:59:15+02:00", "45s"),
        ("2026-02-21T12:00:00Z", "8d"),
        ("", "<unknown>"),
        ("yesterday", "<unknown>"),
        ("2026-03-01T11:59:15", "45s"),
    ],
)
def test_age_counts_from_the_creation_timestamp(created: str, age: str) -> None:
    assert row(service(created=created)).age == age


@pytest.mark.parametrize(("selector", "text"), [(None, "<none>"), ({}, "<none>"), ({"b": "2", "a": "1"}, "a=1,b=2")])
def test_selector_is_sorted(selector: dict[str, str] | None, text: str) -> None:
    assert row(service(selector=selector)).selector == text


def test_the_table_reads_as_kubectls() -> None:
    services = [
        service(
            "redis",
            clusterIPs=["127.96.4.2"],
            ports=[{"port": 6379, "protocol": "TCP"}],
            created="2026-03-01T12:00:00Z",
        ),
        service(
            "myapp",
            type="NodePort",
            clusterIPs=["127.96.200.17"],
            ports=[{"port": 80, "protocol": "TCP", "nodePort": 30080}],
            created="2026-03-01T11:00:00Z",
            selector={"app": "myapp"},
        ),
    ]
    assert render(rows(services, NOW)).splitlines() == [
        "NAME    TYPE        CLUSTER-IP      EXTERNAL-IP   PORT(S)        AGE",
        "myapp   NodePort    127.96.200.17   <none>        80:30080/TCP   60m",
        "redis   ClusterIP   127.96.4.2      <none>        6379/TCP       0s",
    ]
    wide = render(rows(services, NOW, wide=True), namespaces=True, wide=True).splitlines()
    assert wide[0].split() == [
        "NAMESPACE", "NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE", "SELECTOR",
    ]  # fmt: skip
    assert wide[1].split() == [
        "default", "myapp", "NodePort", "127.96.200.17", "<none>", "80:30080/TCP", "60m", "app=myapp",
    ]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["x", "y", "z"])), unique=True))
def test_rows_go_by_namespace_then_name(keys: list[tuple[str, str]]) -> None:
    shown = [each[:2] for each in rows([service(name, namespace) for namespace, name in keys], NOW)]
    assert len(shown) == len(keys)
    assert all(before < after for before, after in pairwise(shown))
