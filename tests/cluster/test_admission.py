"""What a Service gets and is refused, with the API server's texts, and that a refusal leaves nothing taken."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.cluster.admission import Admission, admit
from proxy.cluster.allocation_error import AllocationError
from proxy.cluster.allocators import Allocators, allocators_for
from proxy.cluster.ledger import Grant, NodePortGrant, no_grant
from proxy.cluster.not_admitted import NotAdmittedError
from proxy.model.defaults import default_service
from proxy.model.metadata import ObjectMeta
from proxy.model.service import Service, ServicePort, ServiceSpec

KEY = ("default", "s")
NOTHING = no_grant(KEY)


def allocators(*ranges: str, ports: tuple[int, int] = (30000, 32767)) -> Allocators:
    return allocators_for(ranges or ("10.0.0.0/24",), ports, Random(7))


def service(*ports: ServicePort, name: str = "s", **spec: object) -> Service:
    made = ServiceSpec(ports=ports or (ServicePort(80),), **spec)  # type: ignore[arg-type]
    return default_service(Service(ObjectMeta(name=name, namespace="default"), made))


def node_ports(admission: Admission) -> list[int]:
    return [port.node_port for port in admission.service.spec.ports]


def refusal(new: Service, pool: Allocators, old: Service | None = None, held: Grant = NOTHING) -> str:
    with pytest.raises(NotAdmittedError) as caught:
        admit(new, old, held, pool)
    return "; ".join(str(error) for error in caught.value.errors)


def taken(pool: Allocators) -> tuple[set[str], set[int]]:
    """What is out, found by asking for everything in small ranges."""
    free_ports, free_addresses = set(), set()
    for port in range(pool.node_ports.first, pool.node_ports.last + 1):
        try:
            pool.node_ports.reserve(port)
        except AllocationError:
            continue
        free_ports.add(port)
        pool.node_ports.release(port)
    cluster_ips = pool.cluster_ips["IPv4"]
    for last in range(1, 255):
        try:
            cluster_ips.reserve(f"10.0.0.{last}")
        except AllocationError:
            continue
        free_addresses.add(f"10.0.0.{last}")
        cluster_ips.release(f"10.0.0.{last}")
    every_port = set(range(pool.node_ports.first, pool.node_ports.last + 1))
    return {f"10.0.0.{last}" for last in range(2, 255)} - free_addresses, every_port - free_ports


def test_gives_a_cluster_ip_and_says_so_in_every_field() -> None:
    spec = admit(service(), None, NOTHING, allocators()).service.spec
    assert spec.cluster_ip.startswith("10.0.0.")
    assert (spec.cluster_ips, spec.ip_families, spec.ip_family_policy) == ((spec.cluster_ip,), ("IPv4",), "SingleStack")


def test_gives_a_dual_stack_service_an_address_of_each_family() -> None:
    admission = admit(
        service(ip_family_policy="PreferDualStack"), None, NOTHING, allocators("10.0.0.0/24", "fd00::/112")
    )
    first, second = admission.service.spec.cluster_ips
    assert admission.service.spec.cluster_ip == first
    assert admission.grant.cluster_ips == {"IPv4": first, "IPv6": second}
    assert second.startswith("fd00::")


@pytest.mark.parametrize("new", [service(cluster_ip="None"), service(type="ExternalName", external_name="a.example")])
def test_a_headless_or_external_name_service_takes_nothing(new: Service) -> None:
    assert not admit(new, None, NOTHING, allocators()).grant


def test_the_first_address_is_for_the_kubernetes_service_alone() -> None:
    pool = allocators()
    assert "provided IP is already allocated" in refusal(service(cluster_ip="10.0.0.1"), pool)
    held = no_grant(("default", "kubernetes"))
    assert admit(service(name="kubernetes"), None, held, pool).service.spec.cluster_ip == "10.0.0.1"


def test_entries_of_one_port_number_share_a_node_port_on_create() -> None:
    dns = (ServicePort(53, "u", "UDP"), ServicePort(53, "t", "TCP"), ServicePort(80, "w", "TCP"))
    first, second, third = node_ports(admit(service(*dns, type="NodePort"), None, NOTHING, allocators()))
    assert first == second != third


def test_an_entry_takes_the_node_port_that_its_sibling_states() -> None:
    dns = (ServicePort(53, "u", "UDP"), ServicePort(53, "t", "TCP", node_port=30053))
    assert node_ports(admit(service(*dns, type="NodePort"), None, NOTHING, allocators())) == [30053, 30053]


def test_equal_node_ports_on_different_ports_fail_on_create_and_pass_on_update() -> None:
    pool = allocators()
    ports = (ServicePort(53, "u", "UDP", node_port=30053), ServicePort(54, "t", "TCP", node_port=30053))
    assert refusal(service(*ports, type="NodePort"), pool) == (
        "spec.ports[1].nodePort: Invalid value: 30053: provided port is already allocated"
    )
    before = admit(service(), None, NOTHING, pool)
    updated = admit(service(*ports, type="NodePort"), before.service, before.grant, pool)
    assert node_ports(updated) == [30053, 30053]


def test_a_load_balancer_can_go_without_node_ports_but_not_without_its_health_check() -> None:
    new = service(type="LoadBalancer", allocate_load_balancer_node_ports=False, external_traffic_policy="Local")
    admission = admit(new, None, NOTHING, allocators())
    assert node_ports(admission) == [0]
    assert admission.service.spec.health_check_node_port >= 30086


@pytest.mark.parametrize(
    ("new", "text"),
    [
        (
            service(cluster_ip="10.0.0.9"),
            'spec.clusterIPs: Invalid value: ["10.0.0.9"]: failed to allocate IP 10.0.0.9: '
            "provided IP is already allocated",
        ),
        (
            service(cluster_ip="10.9.0.9"),
            'spec.clusterIPs: Invalid value: ["10.9.0.9"]: failed to allocate IP 10.9.0.9: '
            "the provided network does not match the current range "
            "(the service range here is 10.0.0.0/24; leave clusterIP out to get one, or set serviceClusterIPRange)",
        ),
        (
            service(ServicePort(80, node_port=30080), type="NodePort"),
            "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated",
        ),
        (
            service(ServicePort(80, node_port=80), type="NodePort"),
            "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. "
            "The range of valid ports is 30000-32767 (leave the port out to get one, or set nodePortRange)",
        ),
        (
            service(type="LoadBalancer", external_traffic_policy="Local", health_check_node_port=30080),
            "spec.healthCheckNodePort: failed to allocate requested HealthCheck NodePort 30080: "
            "provided port is already allocated",
        ),
        (
            service(
                ServicePort(80, node_port=30081),
                type="LoadBalancer",
                external_traffic_policy="Local",
                health_check_node_port=30081,
            ),
            "spec.healthCheckNodePort: failed to allocate requested HealthCheck NodePort 30081: "
            "provided port is already allocated",
        ),
    ],
)
def test_refuses_with_the_words_of_the_api_server_and_keeps_nothing(new: Service, text: str) -> None:
    pool = allocators()
    pool.cluster_ips["IPv4"].reserve("10.0.0.9")
    pool.node_ports.reserve(30080)
    assert refusal(new, pool) == text
    assert taken(pool) == ({"10.0.0.9"}, {30080})


def test_says_so_when_a_range_is_full() -> None:
    pool = allocators("10.0.0.0/30", ports=(30000, 30000))
    pool.cluster_ips["IPv4"].reserve("10.0.0.2")
    assert refusal(service(), pool) == (
        'spec.clusterIPs: failed to allocate a serviceIP for Service "s": range is full'
    )
    pool.cluster_ips["IPv4"].release("10.0.0.2")
    pool.node_ports.reserve(30000)
    assert refusal(service(type="NodePort"), pool) == (
        "spec.ports[0].nodePort: failed to allocate a nodePort: range is full"
    )
    balanced = service(type="LoadBalancer", allocate_load_balancer_node_ports=False, external_traffic_policy="Local")
    assert refusal(balanced, pool) == (
        "spec.healthCheckNodePort: failed to allocate a HealthCheck NodePort: range is full"
    )
    pool.cluster_ips["IPv4"].reserve("10.0.0.2")


def test_an_update_keeps_what_it_does_not_name() -> None:
    pool = allocators()
    before = admit(service(type="NodePort"), None, NOTHING, pool)
    after = admit(service(type="NodePort", session_affinity="ClientIP"), before.service, before.grant, pool)
    assert after.grant == before.grant
    assert not after.released
    assert after.service.spec.session_affinity == "ClientIP"


def test_an_update_may_not_change_the_cluster_ip() -> None:
    pool = allocators()
    before = admit(service(), None, NOTHING, pool)
    new = service(cluster_ip="10.0.0.77")
    assert refusal(new, pool, before.service, before.grant) == (
        'spec.clusterIPs[0]: Invalid value: ["10.0.0.77"]: may not change once set'
    )


def test_an_update_may_not_check_health_on_a_port_of_its_own() -> None:
    pool = allocators()
    port = ServicePort(80, node_port=30081)
    before = admit(service(port, type="LoadBalancer"), None, NOTHING, pool)
    new = service(port, type="LoadBalancer", external_traffic_policy="Local", health_check_node_port=30081)
    assert "provided port is already allocated" in refusal(new, pool, before.service, before.grant)


def test_a_change_of_type_releases_what_the_new_type_has_not() -> None:
    pool = allocators()
    ports = (ServicePort(80, "a"), ServicePort(81, "b"))
    first = admit(service(*ports, type="NodePort"), None, NOTHING, pool)
    fewer = admit(service(ports[0], type="NodePort"), first.service, first.grant, pool)
    assert fewer.released
    assert fewer.grant.node_ports == first.grant.node_ports[:1]
    inside = admit(service(ports[0]), fewer.service, fewer.grant, pool)
    assert taken(pool) == (set(first.service.spec.cluster_ips), set())
    outside = admit(service(type="ExternalName", external_name="a.example"), inside.service, inside.grant, pool)
    assert taken(pool) == (set(), set())
    again = admit(service(), outside.service, outside.grant, pool)
    assert again.service.spec.cluster_ip


def test_gives_what_is_remembered_of_a_service() -> None:
    pool = allocators()
    held = replace(
        NOTHING,
        cluster_ips={"IPv4": "10.0.0.50"},
        node_ports=(NodePortGrant(30777, "TCP"),),
        health_check_node_port=30778,
    )
    pool.cluster_ips["IPv4"].reserve("10.0.0.50")
    pool.node_ports.reserve(30777)
    pool.node_ports.reserve(30778)
    admission = admit(service(type="LoadBalancer", external_traffic_policy="Local"), None, held, pool)
    assert admission.grant == held
    stated = admit(service(cluster_ip="10.0.0.51"), None, held, pool)
    assert stated.released
    assert taken(pool) == ({"10.0.0.51"}, set())


PORTS = st.lists(
    st.builds(
        ServicePort,
        port=st.integers(80, 82),
        name=st.sampled_from("abcd"),
        protocol=st.sampled_from(["TCP", "UDP"]),
        node_port=st.sampled_from([0, 0, 30000, 30003, 30010, 31000]),
    ),
    min_size=1,
    max_size=3,
    unique_by=(lambda port: port.name, lambda port: (port.port, port.protocol)),
)
SERVICES = st.builds(
    lambda ports, type, policy, address: service(
        *ports,
        type=type,
        external_traffic_policy=policy if type == "LoadBalancer" else "",
        cluster_ip=address,
    ),
    PORTS,
    st.sampled_from(["NodePort", "LoadBalancer"]),
    st.sampled_from(["Cluster", "Local"]),
    st.sampled_from(["", "10.0.0.9", "10.0.0.10"]),
)


@given(versions=st.lists(SERVICES, min_size=1, max_size=6))
def test_what_is_out_is_exactly_what_the_version_in_force_shows(versions: list[Service]) -> None:
    pool = allocators(ports=(30000, 30010))
    old, held = None, NOTHING
    for version in versions:
        try:
            admission = admit(version, old, held, pool)
        except NotAdmittedError:
            pass
        else:
            old, held = admission.service, admission.grant
    shown_addresses = set(old.spec.cluster_ips) if old else set()
    shown_ports = {port.node_port for port in old.spec.ports} | {old.spec.health_check_node_port} if old else set()
    assert taken(pool) == (shown_addresses, shown_ports - {0})
