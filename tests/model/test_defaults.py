"""Defaults, field by field, and that applying them twice changes nothing."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.defaults import default_endpoint_slice, default_service
from proxy.model.endpoint_slice import EndpointPort, EndpointSlice
from proxy.model.metadata import ObjectMeta
from proxy.model.service import Service


def defaulted(spec: dict[str, object], status: dict[str, object] | None = None) -> dict[str, object]:
    """The defaulted spec, in JSON form."""
    document = {"metadata": {"name": "web"}, "spec": spec, "status": status or {}}
    service = default_service(msgspec.convert(document, Service))
    decoded: dict[str, object] = msgspec.json.decode(msgspec.json.encode(service.spec))
    return decoded


def test_an_empty_spec_gets_the_static_defaults() -> None:
    assert defaulted({}) == {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster"}


@pytest.mark.parametrize(
    ("spec", "field", "value"),
    [
        ({"ports": [{"port": 80}]}, "ports", [{"port": 80, "protocol": "TCP", "targetPort": 80}]),
        (
            {"ports": [{"port": 80, "protocol": "UDP", "targetPort": "dns"}]},
            "ports",
            [{"port": 80, "protocol": "UDP", "targetPort": "dns"}],
        ),
        ({"ports": [{"port": 80, "targetPort": 0}]}, "ports", [{"port": 80, "protocol": "TCP", "targetPort": 80}]),
        ({"ports": [{"port": 80, "targetPort": ""}]}, "ports", [{"port": 80, "protocol": "TCP", "targetPort": 80}]),
        ({"sessionAffinity": "ClientIP"}, "sessionAffinityConfig", {"clientIP": {"timeoutSeconds": 10800}}),
        (
            {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {}}},
            "sessionAffinityConfig",
            {"clientIP": {"timeoutSeconds": 10800}},
        ),
        (
            {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}},
            "sessionAffinityConfig",
            {"clientIP": {"timeoutSeconds": 0}},
        ),
        ({"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}}, "sessionAffinityConfig", None),
        ({"clusterIP": "10.0.0.1"}, "clusterIPs", ["10.0.0.1"]),
        ({"clusterIPs": ["10.0.0.1", "fd00::1"]}, "clusterIP", "10.0.0.1"),
        ({"clusterIP": "10.0.0.2", "clusterIPs": ["10.0.0.1"]}, "clusterIPs", ["10.0.0.1"]),
        ({"type": "NodePort"}, "externalTrafficPolicy", "Cluster"),
        ({"type": "LoadBalancer"}, "externalTrafficPolicy", "Cluster"),
        ({"externalIPs": ["192.0.2.1"]}, "externalTrafficPolicy", "Cluster"),
        ({"type": "NodePort", "externalTrafficPolicy": "Local"}, "externalTrafficPolicy", "Local"),
        ({}, "externalTrafficPolicy", None),
        ({"type": "ExternalName", "externalIPs": ["192.0.2.1"]}, "externalTrafficPolicy", None),
        ({"type": "ExternalName"}, "internalTrafficPolicy", None),
        ({"internalTrafficPolicy": "Local"}, "internalTrafficPolicy", "Local"),
        ({"type": "LoadBalancer"}, "allocateLoadBalancerNodePorts", True),
        ({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False}, "allocateLoadBalancerNodePorts", False),
        ({"type": "NodePort"}, "allocateLoadBalancerNodePorts", None),
    ],
)
def test_fills_in_what_the_api_server_fills_in(spec: dict[str, object], field: str, value: object) -> None:
    assert defaulted(spec).get(field) == value


@pytest.mark.parametrize(
    ("service_type", "ingress", "mode"),
    [
        ("LoadBalancer", {"ip": "192.0.2.1"}, "VIP"),
        ("LoadBalancer", {"ip": "192.0.2.1", "ipMode": "Proxy"}, "Proxy"),
        ("LoadBalancer", {"hostname": "lb.example.com"}, None),
        ("ClusterIP", {"ip": "192.0.2.1"}, None),
    ],
)
def test_an_ingress_address_is_a_vip_unless_it_says_otherwise(
    service_type: str, ingress: dict[str, str], mode: str | None
) -> None:
    status = {"loadBalancer": {"ingress": [ingress]}}
    document = {"metadata": {"name": "web"}, "spec": {"type": service_type}, "status": status}
    service = default_service(msgspec.convert(document, Service))
    assert service.status.load_balancer.ingress[0].ip_mode == mode


def test_a_slice_port_without_name_and_protocol_is_unnamed_tcp() -> None:
    ports = (EndpointPort(port=80), EndpointPort(name="dns", protocol="UDP"))
    filled = default_endpoint_slice(EndpointSlice(ObjectMeta("a"), ports=ports))
    assert filled.ports == (EndpointPort("", "TCP", 80), EndpointPort("dns", "UDP"))


@given(st.from_type(Service))
def test_applying_them_twice_changes_nothing(service: Service) -> None:
    once = default_service(service)
    assert default_service(once) == once


@given(st.from_type(Service))
def test_changes_nothing_but_the_fields_it_fills(service: Service) -> None:
    filled = default_service(service)
    assert filled.metadata == service.metadata
    assert len(filled.spec.ports) == len(service.spec.ports)
    kept = {"selector", "externalIPs", "externalName", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"}
    before, after = msgspec.to_builtins(service.spec), msgspec.to_builtins(filled.spec)
    assert {name: before.get(name) for name in kept} == {name: after.get(name) for name in kept}


@given(st.from_type(EndpointSlice))
def test_applying_slice_defaults_twice_changes_nothing(endpoint_slice: EndpointSlice) -> None:
    once = default_endpoint_slice(endpoint_slice)
    assert default_endpoint_slice(once) == once
