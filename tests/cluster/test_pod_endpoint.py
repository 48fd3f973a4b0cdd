"""One Pod as an endpoint, condition by condition."""

import pytest

from proxy.cluster.pod_endpoint import pod_addresses, pod_endpoint, pod_ports
from proxy.model.endpoint_slice import Endpoint, EndpointHints, NodeHint, ZoneHint
from proxy.model.metadata import ObjectMeta
from proxy.model.pod import Container, ContainerPort, Pod, PodCondition, PodIP, PodSpec, PodStatus
from proxy.model.service import Service, ServicePort, ServiceSpec

ZONES = {"n1": "west"}


def service(*ports: ServicePort, **spec: object) -> Service:
    return Service(ObjectMeta(name="s", namespace="default"), ServiceSpec(ports=ports, **spec))  # type: ignore[arg-type]


def pod(ready: str | None = "True", terminating: bool = False, phase: str = "Running", **spec: object) -> Pod:
    conditions = (PodCondition("Initialized", "False"), PodCondition("Ready", ready)) if ready else ()
    deletion = "2026-01-01T00:00:00Z" if terminating else None
    return Pod(
        ObjectMeta(name="p", namespace="default", deletion_timestamp=deletion),
        PodSpec(**spec),  # type: ignore[arg-type]
        PodStatus(phase=phase, pod_ip="10.1.0.1", pod_ips=(PodIP("10.1.0.1"), PodIP("fd01::1")), conditions=conditions),
    )


def endpoint(of: Pod, owner: Service | None = None) -> Endpoint:
    made = pod_endpoint(owner or service(), of, "IPv4", ZONES, "here")
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("ready", "terminating", "publish", "expected"),
    [
        ("True", False, False, (True, True, False)),
        (None, False, False, (True, True, False)),
        ("False", False, False, (False, False, False)),
        ("Unknown", False, False, (False, False, False)),
        ("True", True, False, (False, True, True)),
        ("False", True, False, (False, False, True)),
        ("False", False, True, (True, False, False)),
        ("True", True, True, (True, True, True)),
    ],
)
def test_conditions_follow_the_pod(
    ready: str | None, terminating: bool, publish: bool, expected: tuple[bool, bool, bool]
) -> None:
    conditions = endpoint(pod(ready, terminating), service(publish_not_ready_addresses=publish)).conditions
    assert (conditions.ready, conditions.serving, conditions.terminating) == expected


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_is_no_endpoint(phase: str) -> None:
    assert pod_endpoint(service(), pod(phase=phase), "IPv4", ZONES, "here") is None


def test_addresses_are_of_the_family_asked_for() -> None:
    assert pod_addresses(pod(), "IPv4") == ("10.1.0.1",)
    assert pod_addresses(pod(), "IPv6") == ("fd01::1",)
    single = Pod(ObjectMeta(name="p", namespace="default"), status=PodStatus(pod_ip="10.1.0.2"))
    assert pod_addresses(single, "IPv4") == ("10.1.0.2",)
    assert pod_addresses(single, "IPv6") == ()
    assert pod_addresses(Pod(ObjectMeta(name="p", namespace="default")), "IPv4") == ()


def test_a_pod_without_a_node_runs_here() -> None:
    assert endpoint(pod()).node_name == "here"
    placed = endpoint(pod(node_name="n1"))
    assert (placed.node_name, placed.zone) == ("n1", "west")


@pytest.mark.parametrize(
    ("hostname", "subdomain", "expected"), [("h", "s", "h"), ("h", "other", None), ("h", "", None), ("", "s", None)]
)
def test_a_hostname_counts_under_the_service_s_own_name(hostname: str, subdomain: str, expected: str | None) -> None:
    assert endpoint(pod(hostname=hostname, subdomain=subdomain)).hostname == expected


ZONE = EndpointHints(for_zones=(ZoneHint("west"),))


@pytest.mark.parametrize(
    ("distribution", "node", "expected"),
    [
        (None, "n1", None),
        ("PreferClose", "n1", ZONE),
        ("PreferSameZone", "n1", ZONE),
        ("PreferSameNode", "n1", EndpointHints((ZoneHint("west"),), (NodeHint("n1"),))),
        ("PreferSameNode", "n2", EndpointHints((), (NodeHint("n2"),))),
        ("PreferSameZone", "n2", None),
    ],
)
def test_hints_follow_traffic_distribution(distribution: str | None, node: str, expected: EndpointHints | None) -> None:
    owner = service(traffic_distribution=distribution)
    assert endpoint(pod(node_name=node), owner).hints == expected
    assert endpoint(pod("True", True, node_name=node), owner).hints is None


def test_port_numbers_come_from_the_target_port() -> None:
    containers = (
        Container("a", (ContainerPort(8080, "http", "UDP"),)),
        Container("b", (ContainerPort(8081, "http", "TCP"),)),
    )
    initial = (
        Container("setup", (ContainerPort(9000, "admin"),)),
        Container("sidecar", (ContainerPort(9001, "admin"),), "Always"),
    )
    owner = service(
        ServicePort(1, "unset", "TCP"),
        ServicePort(2, "number", "TCP", 22),
        ServicePort(3, "named", "TCP", "http", app_protocol="h2c"),
        ServicePort(4, "sidecar", "TCP", "admin"),
        ServicePort(5, "lacking", "UDP", "admin"),
    )
    ports = pod_ports(owner, pod(containers=containers, init_containers=initial))
    assert [(port.name, port.port, port.app_protocol) for port in ports] == [
        ("unset", 1, None),
        ("number", 22, None),
        ("named", 8081, "h2c"),
        ("sidecar", 9001, None),
    ]
