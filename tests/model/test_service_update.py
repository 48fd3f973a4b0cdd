"""Updates: what is carried over, what is wiped with the type, and what may not change."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.defaults import default_service
from proxy.model.service import Service
from proxy.model.service_update import carry_over, validate_service_update
from proxy.model.service_validation import validate_service

DUAL = {"clusterIPs": ["10.0.0.1", "fd00::1"], "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack"}
LOCAL_BALANCER = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 32000}
BALANCER_STATUS: dict[str, object] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}


def service(spec: dict[str, object], status: dict[str, object] | None = None) -> Service:
    document = {
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"ports": [{"port": 80}], **spec},
        "status": status or {},
    }
    return default_service(msgspec.convert(document, Service))


def wire(updated: Service) -> dict[str, object]:
    decoded: dict[str, object] = msgspec.json.decode(msgspec.json.encode(updated.spec))
    return decoded


@pytest.mark.parametrize(
    ("old", "new", "field", "value"),
    [
        ({"clusterIP": "10.0.0.1"}, {}, "clusterIP", "10.0.0.1"),
        ({"clusterIP": "10.0.0.1"}, {}, "clusterIPs", ["10.0.0.1"]),
        ({"clusterIP": "None"}, {}, "clusterIPs", ["None"]),
        ({}, {"clusterIP": "10.0.0.1"}, "clusterIPs", ["10.0.0.1"]),
        ({"clusterIP": "10.0.0.1"}, {"clusterIP": "10.0.0.2"}, "clusterIPs", ["10.0.0.2"]),
        (DUAL, {}, "clusterIPs", ["10.0.0.1", "fd00::1"]),
        (DUAL, {}, "ipFamilies", ["IPv4", "IPv6"]),
        (DUAL, {}, "ipFamilyPolicy", "PreferDualStack"),
        (DUAL, {"clusterIP": "10.0.0.1"}, "clusterIPs", ["10.0.0.1", "fd00::1"]),
        (DUAL, {"ipFamilyPolicy": "SingleStack"}, "clusterIPs", ["10.0.0.1"]),
        (DUAL, {"ipFamilyPolicy": "SingleStack"}, "ipFamilies", None),
        ({"clusterIP": "10.0.0.1"}, {"ipFamilyPolicy": "PreferDualStack"}, "clusterIPs", ["10.0.0.1"]),
        (LOCAL_BALANCER, {**LOCAL_BALANCER, "healthCheckNodePort": 0}, "healthCheckNodePort", 32000),
        (LOCAL_BALANCER, {**LOCAL_BALANCER, "healthCheckNodePort": 32001}, "healthCheckNodePort", 32001),
        # From ExternalName everything is allocated anew, to it everything is released.
        ({"clusterIP": "10.0.0.1"}, {"type": "ExternalName", "externalName": "a"}, "clusterIPs", None),
        (DUAL, {**DUAL, "type": "ExternalName", "externalName": "a"}, "clusterIPs", None),
        (DUAL, {**DUAL, "type": "ExternalName", "externalName": "a"}, "clusterIP", None),
        (DUAL, {**DUAL, "type": "ExternalName", "externalName": "a"}, "ipFamilies", None),
        (DUAL, {**DUAL, "type": "ExternalName", "externalName": "a"}, "ipFamilyPolicy", None),
        (
            {"clusterIP": "10.0.0.1"},
            {"clusterIP": "10.0.0.2", "type": "ExternalName", "externalName": "a"},
            "clusterIP",
            "10.0.0.2",
        ),
        # A change of type wipes what the user left as it was.
        (LOCAL_BALANCER, {**LOCAL_BALANCER, "type": "ClusterIP"}, "healthCheckNodePort", None),
        (LOCAL_BALANCER, {**LOCAL_BALANCER, "type": "ClusterIP"}, "externalTrafficPolicy", None),
        (LOCAL_BALANCER, {**LOCAL_BALANCER, "type": "NodePort"}, "externalTrafficPolicy", "Local"),
        (
            {"type": "NodePort"},
            {"type": "ClusterIP", "externalTrafficPolicy": "Local"},
            "externalTrafficPolicy",
            "Local",
        ),
        (
            {"type": "LoadBalancer", "loadBalancerClass": "a/b"},
            {"type": "NodePort", "loadBalancerClass": "a/b", "allocateLoadBalancerNodePorts": True},
            "loadBalancerClass",
            None,
        ),
        (
            {"type": "LoadBalancer"},
            {"type": "NodePort", "allocateLoadBalancerNodePorts": True},
            "allocateLoadBalancerNodePorts",
            None,
        ),
        (
            {"type": "LoadBalancer"},
            {"type": "NodePort", "loadBalancerClass": "a/b"},
            "loadBalancerClass",
            "a/b",
        ),
    ],
)
def test_keeps_what_was_allocated_and_drops_what_the_type_has_no_use_for(
    old: dict[str, object], new: dict[str, object], field: str, value: object
) -> None:
    assert wire(carry_over(service(old), service(new))).get(field) == value


@pytest.mark.parametrize(
    ("old_type", "old_ports", "new_type", "new_ports", "node_ports"),
    [
        ("NodePort", [("", 30080)], "NodePort", [("", 0)], [30080]),
        ("NodePort", [("a", 30080), ("b", 30081)], "NodePort", [("b", 0), ("a", 0)], [30081, 30080]),
        ("NodePort", [("a", 30080)], "NodePort", [("a", 30090)], [30090]),
        ("NodePort", [("a", 30080)], "NodePort", [("a", 0), ("c", 0)], [30080, 0]),
        ("NodePort", [("a", 30080)], "NodePort", [("a", 0), ("c", 30080)], [0, 30080]),
        ("NodePort", [("a", 0)], "NodePort", [("a", 0)], [0]),
        ("NodePort", [("a", 30080)], "LoadBalancer", [("a", 0)], [30080]),
        ("LoadBalancer", [("a", 30080)], "NodePort", [("a", 0)], [30080]),
        ("NodePort", [("a", 30080)], "ClusterIP", [("a", 0)], [0]),
        ("NodePort", [("a", 30080)], "ClusterIP", [("a", 30080)], [0]),
        ("NodePort", [("a", 30080)], "ClusterIP", [("a", 30081)], [30081]),
        ("ClusterIP", [("a", 0)], "NodePort", [("a", 0)], [0]),
    ],
)
def test_a_port_inherits_the_node_port_of_its_namesake(
    old_type: str,
    old_ports: list[tuple[str, int]],
    new_type: str,
    new_ports: list[tuple[str, int]],
    node_ports: list[int],
) -> None:
    def ports(entries: list[tuple[str, int]]) -> list[dict[str, object]]:
        return [{"name": name, "port": 80 + index, "nodePort": node} for index, (name, node) in enumerate(entries)]

    old = service({"type": old_type, "ports": ports(old_ports)})
    new = service({"type": new_type, "ports": ports(new_ports)})
    assert [port.node_port for port in carry_over(old, new).spec.ports] == node_ports


@pytest.mark.parametrize(("new_type", "kept"), [("LoadBalancer", 1), ("NodePort", 0)])
def test_the_ingress_goes_with_the_load_balancer(new_type: str, kept: int) -> None:
    old = service({"type": "LoadBalancer"}, BALANCER_STATUS)
    updated = carry_over(old, service({"type": new_type}, BALANCER_STATUS))
    assert len(updated.status.load_balancer.ingress) == kept


@pytest.mark.parametrize(
    ("old", "new", "errors"),
    [
        ({"clusterIP": "10.0.0.1"}, {"clusterIP": "10.0.0.1"}, []),
        ({}, {"clusterIP": "10.0.0.1"}, []),
        (
            {"clusterIP": "10.0.0.1"},
            {"clusterIP": "10.0.0.9"},
            ['spec.clusterIPs[0]: Invalid value: ["10.0.0.9"]: may not change once set'],
        ),
        (
            {"clusterIP": "10.0.0.1"},
            {"clusterIP": "None"},
            ['spec.clusterIPs[0]: Invalid value: ["None"]: may not change once set'],
        ),
        (
            {"clusterIP": "None"},
            {"clusterIP": "10.0.0.9"},
            ['spec.clusterIPs[0]: Invalid value: ["10.0.0.9"]: may not change once set'],
        ),
        ({"clusterIP": "None"}, {"clusterIP": "None"}, []),
        (
            {"clusterIP": "10.0.0.1"},
            {},
            ["spec.clusterIPs[0]: Invalid value: []: primary clusterIP can not be unset"],
        ),
        ({"clusterIP": "10.0.0.1"}, {"type": "ExternalName", "clusterIP": "10.0.0.9"}, []),
        ({"type": "ExternalName"}, {"clusterIP": "None"}, []),
        (
            DUAL,
            {**DUAL, "clusterIPs": ["10.0.0.1", "fd00::2"]},
            ['spec.clusterIPs[1]: Invalid value: ["10.0.0.1","fd00::2"]: may not change once set'],
        ),
        (
            DUAL,
            {"clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"]},
            [
                "spec.ipFamilyPolicy: Invalid value: null: must be set to 'SingleStack' when releasing the secondary"
                " clusterIP",
                "spec.ipFamilyPolicy: Invalid value: null: must be set to 'SingleStack' when releasing the secondary"
                " ipFamily",
            ],
        ),
        (DUAL, {"clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}, []),
        (
            DUAL,
            {"clusterIPs": ["fd00::1"], "ipFamilies": ["IPv6"], "ipFamilyPolicy": "SingleStack"},
            [
                'spec.clusterIPs[0]: Invalid value: ["fd00::1"]: may not change once set',
                'spec.ipFamilies[0]: Invalid value: ["IPv6"]: may not change once set',
            ],
        ),
        ({"clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"]}, DUAL, []),
        (
            {"clusterIPs": ["10.0.0.2"], "ipFamilies": ["IPv4"]},
            DUAL,
            ['spec.clusterIPs[0]: Invalid value: ["10.0.0.1","fd00::1"]: may not change once set'],
        ),
        (
            {"type": "LoadBalancer", "loadBalancerClass": "a/b"},
            {"type": "LoadBalancer", "loadBalancerClass": "a/c"},
            ['spec.loadBalancerClass: Invalid value: "a/c": may not change once set'],
        ),
        (
            {"type": "LoadBalancer", "loadBalancerClass": "a/b"},
            {"type": "LoadBalancer"},
            ["spec.loadBalancerClass: Invalid value: null: may not change once set"],
        ),
        ({"type": "LoadBalancer", "loadBalancerClass": "a/b"}, {"type": "NodePort"}, []),
        (
            LOCAL_BALANCER,
            {**LOCAL_BALANCER, "healthCheckNodePort": 32001},
            ["spec.healthCheckNodePort: Forbidden: field is immutable"],
        ),
        (LOCAL_BALANCER, {"type": "LoadBalancer"}, []),
        ({**LOCAL_BALANCER, "healthCheckNodePort": 0}, LOCAL_BALANCER, []),
    ],
)
def test_refuses_to_change_what_is_fixed(old: dict[str, object], new: dict[str, object], errors: list[str]) -> None:
    assert [str(error) for error in validate_service_update(service(old), service(new))] == errors


SPECS = st.fixed_dictionaries(
    {"type": st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"])},
    optional={
        "clusterIP": st.sampled_from(["10.0.0.1", "10.0.0.2"]),
        "externalTrafficPolicy": st.just("Local"),
        "healthCheckNodePort": st.sampled_from([32000, 32001]),
        "ports": st.sampled_from(
            [
                [{"port": 80, "nodePort": 30080}],
                [{"name": "a", "port": 80, "nodePort": 30080}, {"name": "b", "port": 81}],
                [{"name": "b", "port": 81, "nodePort": 30081}],
            ]
        ),
    },
)
VALID = SPECS.map(service).filter(lambda candidate: not validate_service(candidate))


@given(VALID)
def test_a_service_may_always_stay_as_it_is(same: Service) -> None:
    assert carry_over(same, same) == same
    assert validate_service_update(same, same) == ()


@given(VALID, VALID)
def test_carrying_over_keeps_a_valid_service_valid_and_is_idempotent(old: Service, new: Service) -> None:
    updated = carry_over(old, new)
    assert validate_service(updated) == ()
    assert carry_over(old, updated) == updated


@given(VALID, VALID)
def test_the_address_alone_decides_between_two_services_of_one_family(old: Service, new: Service) -> None:
    changed = bool(old.spec.cluster_ip and new.spec.cluster_ip) and old.spec.cluster_ip != new.spec.cluster_ip
    errors = [error.field for error in validate_service_update(old, carry_over(old, new))]
    assert ("spec.clusterIPs[0]" in errors) is changed
