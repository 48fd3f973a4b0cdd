"""Which healthCheckNodePorts there are, and what counts as an endpoint on this node."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.service import Service
from proxy.plan.health_check import HealthCheck, health_checks

LOCAL = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30900}


def service(**spec: Any) -> Service:
    return msgspec.convert({"metadata": {"name": "web", "namespace": "shop"}, "spec": LOCAL | spec}, Service)


def endpoint_slice(*endpoints: dict[str, Any], family: str = "IPv4", **fields: Any) -> EndpointSlice:
    document = {
        "metadata": {"name": "web-1", "namespace": "shop", **fields.pop("metadata", {})},
        "addressType": family,
        "endpoints": endpoints,
        "ports": [{"name": "http", "port": 80}],
        **fields,
    }
    return msgspec.convert(document, EndpointSlice)


def at(address: str, node: str | None = "here", **conditions: bool) -> dict[str, Any]:
    return {"addresses": [address], "nodeName": node, "conditions": conditions}


def local(*slices: EndpointSlice, node: str = "here") -> int:
    (check,) = health_checks(service(), ["IPv4"], slices, node)
    return check.local_endpoints


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "NodePort"},
        {"externalTrafficPolicy": "Cluster"},
        {"healthCheckNodePort": 0},
    ],
)
def test_only_a_load_balancer_with_policy_local_and_a_port_has_one(spec: dict[str, Any]) -> None:
    assert health_checks(service(**spec), ["IPv4"], [endpoint_slice(at("10.0.0.1"))], "here") == ()


def test_each_family_counts_its_own() -> None:
    slices = [endpoint_slice(at("10.0.0.1"), at("10.0.0.2")), endpoint_slice(at("fd00::1"), family="IPv6")]
    assert health_checks(service(), ["IPv4", "IPv6"], slices, "here") == (
        HealthCheck(("shop", "web"), "IPv4", 30900, 2),
        HealthCheck(("shop", "web"), "IPv6", 30900, 1),
    )


def test_endpoints_elsewhere_do_not_count() -> None:
    assert local(endpoint_slice(at("10.0.0.1", "there"), at("10.0.0.2", None))) == 0


def test_without_a_name_of_this_node_nothing_is_local() -> None:
    assert local(endpoint_slice(at("10.0.0.1", "")), node="") == 0


def test_one_that_terminates_does_not_count_though_it_serves() -> None:
    assert local(endpoint_slice(at("10.0.0.1", ready=False, serving=True, terminating=True))) == 0


def test_an_address_counts_once_however_many_ports_and_slices_have_it() -> None:
    two_ports = [{"name": "http", "port": 80}, {"name": "admin", "port": 81}]
    assert local(endpoint_slice(at("10.0.0.1"), ports=two_ports), endpoint_slice(at("10.0.0.1"))) == 1


def test_slices_of_a_headless_twin_or_without_a_port_do_not_count() -> None:
    headless = {"labels": {"service.kubernetes.io/headless": ""}}
    assert local(endpoint_slice(at("10.0.0.1"), metadata=headless), endpoint_slice(at("10.0.0.2"), ports=[])) == 0


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["here", "there"]), st.booleans())))
def test_the_count_is_that_of_distinct_ready_addresses_here(given_endpoints: list[tuple[int, str, bool]]) -> None:
    endpoints = [at(f"10.0.0.{number}", node, ready=ready) for number, node, ready in given_endpoints]
    expected = {number for number, node, ready in given_endpoints if node == "here" and ready}
    assert local(endpoint_slice(*endpoints)) == len(expected)
