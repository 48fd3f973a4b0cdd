"""Legacy Endpoints as slices."""

import pytest

from proxy.cluster.mirrored_slices import mirrored_slices
from proxy.model.endpoint_slice import EndpointPort, TargetReference
from proxy.model.endpoints import EndpointAddress, Endpoints, EndpointSubset, EndpointSubsetPort
from proxy.model.metadata import ObjectMeta


def endpoints(
    *subsets: EndpointSubset, labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None
) -> Endpoints:
    metadata = ObjectMeta(name="s", namespace="default", labels=labels or {}, annotations=annotations or {})
    return Endpoints(metadata, subsets)


def addresses(*texts: str) -> tuple[EndpointAddress, ...]:
    return tuple(EndpointAddress(text) for text in texts)


def test_copies_what_an_address_says() -> None:
    reference = TargetReference("Pod", "p", "default")
    address = EndpointAddress("10.1.0.1", "host", "n1", reference)
    ports = (EndpointSubsetPort(80, "web", "TCP", "h2c"),)
    (made,) = mirrored_slices(endpoints(EndpointSubset((address,), (), ports), labels={"team": "x"}))
    (endpoint,) = made.endpoints
    assert (endpoint.addresses, endpoint.hostname, endpoint.node_name) == (("10.1.0.1",), "host", "n1")
    assert endpoint.target_ref == reference
    assert made.ports == (EndpointPort("web", "TCP", 80, "h2c"),)
    assert made.service == ("default", "s")
    assert made.metadata.labels["team"] == "x"
    assert made.metadata.labels["endpointslice.kubernetes.io/managed-by"] == (
        "endpointslicemirroring-controller.k8s.io"
    )


def test_ready_and_not_ready_differ_in_that_condition_alone() -> None:
    (made,) = mirrored_slices(endpoints(EndpointSubset(addresses("10.1.0.1"), addresses("10.1.0.2"))))
    assert [(entry.addresses[0], entry.conditions.ready) for entry in made.endpoints] == [
        ("10.1.0.1", True),
        ("10.1.0.2", False),
    ]
    assert {(entry.conditions.serving, entry.conditions.terminating) for entry in made.endpoints} == {(None, None)}


def test_subsets_and_families_are_apart() -> None:
    first = EndpointSubset(addresses("10.1.0.1", "fd01::1"), (), (EndpointSubsetPort(80),))
    second = EndpointSubset(addresses("10.1.0.2"), (), (EndpointSubsetPort(81),))
    made = mirrored_slices(endpoints(first, second))
    assert [(item.address_type, item.ports[0].port, len(item.endpoints)) for item in made] == [
        ("IPv4", 80, 1),
        ("IPv6", 80, 1),
        ("IPv4", 81, 1),
    ]
    assert len({item.metadata.name for item in made}) == 3


def test_a_subset_is_cut_at_a_thousand_addresses_ready_ones_first() -> None:
    ready = addresses(*(f"10.1.{number >> 8}.{number & 255}" for number in range(999)))
    (made,) = mirrored_slices(endpoints(EndpointSubset(ready, addresses("10.9.0.1", "10.9.0.2"))))
    assert len(made.endpoints) == 1000
    assert made.endpoints[-1].addresses == ("10.9.0.1",)


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}},
        {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}},
    ],
)
def test_some_endpoints_are_not_for_mirroring(metadata: dict[str, dict[str, str]]) -> None:
    assert mirrored_slices(endpoints(EndpointSubset(addresses("10.1.0.1")), **metadata)) == ()


def test_skip_mirror_means_true_alone() -> None:
    labels = {"endpointslice.kubernetes.io/skip-mirror": "false"}
    assert mirrored_slices(endpoints(EndpointSubset(addresses("10.1.0.1")), labels=labels))
