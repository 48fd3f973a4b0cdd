"""How Pods are laid out over slices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.cluster.pod_slices import MAXIMUM_ENDPOINTS, pod_slices
from proxy.model.endpoint_slice import TARGET_PORTS, EndpointSlice
from proxy.model.metadata import ObjectMeta
from proxy.model.pod import Container, ContainerPort, Pod, PodIP, PodSpec, PodStatus
from proxy.model.service import Service, ServicePort, ServiceSpec


def service(*families: str, cluster_ip: str = "10.0.0.2") -> Service:
    spec = ServiceSpec(
        ports=(ServicePort(80, "web", "TCP", "http"), ServicePort(81, "raw", "TCP", 8000)),
        cluster_ip=cluster_ip,
        cluster_ips=(cluster_ip,),
        ip_families=families or ("IPv4",),
    )
    return Service(ObjectMeta(name="s", namespace="default"), spec)


def pod(number: int, port: int = 8080) -> Pod:
    containers = (Container("c", (ContainerPort(port, "http"),) if port else ()),)
    addresses = (PodIP(f"10.1.{number >> 8}.{number & 255}"), PodIP(f"fd01::{number:x}"))
    return Pod(
        ObjectMeta(name=f"p{number}", namespace="default"),
        PodSpec(containers=containers),
        PodStatus(pod_ips=addresses),
    )


def slices(pods: list[Pod], owner: Service | None = None) -> dict[str, EndpointSlice]:
    made = pod_slices(owner or service(), pods, {}, "here")
    by_name = {item.metadata.name: item for item in made}
    assert len(by_name) == len(made)
    return by_name


def names(item: EndpointSlice) -> set[str]:
    return {endpoint.target_ref.name for endpoint in item.endpoints if endpoint.target_ref}


def test_a_slice_says_whose_it_is() -> None:
    (made,) = slices([pod(1)]).values()
    assert made.metadata.namespace == "default"
    assert made.service == ("default", "s")
    assert made.metadata.labels == {
        "kubernetes.io/service-name": "s",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    (headless,) = slices([pod(1)], service(cluster_ip="None")).values()
    assert headless.metadata.labels["service.kubernetes.io/headless"] == ""


def test_each_family_has_its_own_slices() -> None:
    made = slices([pod(1)], service("IPv6", "IPv4")).values()
    assert [(item.address_type, item.endpoints[0].addresses) for item in made] == [
        ("IPv6", ("fd01::1",)),
        ("IPv4", ("10.1.0.1",)),
    ]


def test_a_service_without_pods_has_one_empty_slice() -> None:
    (made,) = slices([]).values()
    assert (made.address_type, made.endpoints, made.ports) == ("IPv4", (), ())


def test_pods_whose_named_port_differs_are_apart() -> None:
    made = slices([pod(1, 8080), pod(2, 9090), pod(3, 8080), pod(4, 0)]).values()
    layout = {tuple((port.name, port.port) for port in item.ports): names(item) for item in made}
    assert layout == {
        (("web", 8080), ("raw", 8000)): {"p1", "p3"},
        (("web", 9090), ("raw", 8000)): {"p2"},
        (("raw", 8000),): {"p4"},
    }


@pytest.mark.parametrize("count", [1, 99, 100, 101, 250, 1000])
def test_no_slice_has_more_than_a_hundred_and_every_pod_is_in_one(count: int) -> None:
    made = slices([pod(number) for number in range(count)]).values()
    assert all(1 <= len(item.endpoints) <= MAXIMUM_ENDPOINTS for item in made)
    assert sorted(name for item in made for name in names(item)) == sorted(f"p{number}" for number in range(count))
    assert (len(made) == 1) == (count <= MAXIMUM_ENDPOINTS)


@pytest.mark.parametrize("count", range(95, 1000, 45))
def test_one_pod_more_touches_one_slice_or_splits_one(count: int) -> None:
    before = slices([pod(number) for number in range(count)])
    after = slices([pod(number) for number in range(count + 1)])
    changed = {name for name in before.keys() & after.keys() if before[name] != after[name]}
    gone, new = before.keys() - after.keys(), after.keys() - before.keys()
    if gone:
        (split,) = gone
        assert not changed
        assert set().union(*(names(after[name]) for name in new)) == names(before[split]) | {f"p{count}"}
    else:
        assert len(changed) == 1
        assert not new


@given(st.lists(st.integers(0, 3000), unique=True, max_size=250))
def test_the_order_of_pods_means_nothing(numbers: list[int]) -> None:
    pods = [pod(number) for number in numbers]
    assert slices(pods) == slices(sorted(pods, key=lambda entry: entry.metadata.name, reverse=True))


def test_names_are_the_same_in_every_run() -> None:
    assert list(slices([pod(1)])) == ["s-641d9a9c81"]


def test_where_a_target_port_is_none_of_a_pods_its_ports_are_noted() -> None:
    (made,) = slices([pod(1, port=0), pod(2, port=0)]).values()
    assert TARGET_PORTS not in made.metadata.annotations
    odd = replace(pod(1), spec=PodSpec(containers=(Container("c", (ContainerPort(1, "web"), ContainerPort(2, "db"))),)))
    by_ports = {len(each.ports): each for each in slices([odd, pod(2)]).values()}
    assert by_ports[1].metadata.annotations == {TARGET_PORTS: "web,db"}
    assert by_ports[2].metadata.annotations == {}
