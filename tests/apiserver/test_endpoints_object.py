"""Endpoints made from slices, against a count of the addresses that they should show."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.apiserver.endpoints_object import MAXIMUM_ADDRESSES, OVER_CAPACITY_ANNOTATION, endpoints_object
from proxy.model.endpoint_slice import Endpoint, EndpointConditions, EndpointPort, EndpointSlice
from proxy.model.metadata import ObjectMeta
from proxy.model.service import Service, ServiceSpec

SERVICE = Service(
    ObjectMeta(name="web", namespace="default", labels={"a": "b"}), ServiceSpec(ip_families=("IPv4", "IPv6"))
)


def endpoint(address: str, ready: bool = True, terminating: bool = False) -> Endpoint:
    return Endpoint(addresses=(address,), conditions=EndpointConditions(ready=ready, terminating=terminating))


def endpoint_slice(name: str, *endpoints: Endpoint, port: int = 80, family: str = "IPv4") -> EndpointSlice:
    ports = (EndpointPort(name="http", protocol="TCP", port=port),)
    return EndpointSlice(ObjectMeta(name=name, namespace="default"), family, endpoints, ports)


@given(
    st.lists(
        st.tuples(st.integers(1, 250), st.booleans(), st.booleans(), st.sampled_from((80, 81))),
        unique_by=lambda each: each[0],
    )
)
def test_every_address_is_shown_once_as_what_it_is(found: list[tuple[int, bool, bool, int]]) -> None:
    slices = [
        endpoint_slice(f"s{number}", endpoint(f"10.0.0.{number}", ready, terminating), port=port)
        for number, ready, terminating, port in found
    ]
    made = endpoints_object(SERVICE, slices)
    shown = [(address.ip, True, subset.ports[0].port) for subset in made.subsets for address in subset.addresses]
    shown += [
        (address.ip, False, subset.ports[0].port) for subset in made.subsets for address in subset.not_ready_addresses
    ]
    expected = [
        (f"10.0.0.{number}", ready, port) for number, ready, terminating, port in found if ready or not terminating
    ]
    assert sorted(shown) == sorted(expected)
    assert len(made.subsets) == len({port for _, _, port in expected})


def test_only_the_first_family_is_shown() -> None:
    slices = [endpoint_slice("a", endpoint("10.0.0.1")), endpoint_slice("b", endpoint("fd00::1"), family="IPv6")]
    made = endpoints_object(SERVICE, slices)
    assert [address.ip for subset in made.subsets for address in subset.addresses] == ["10.0.0.1"]


def test_more_addresses_than_fit_are_cut_and_that_is_said() -> None:
    ready = [endpoint(f"10.0.{number // 250}.{number % 250 + 1}") for number in range(MAXIMUM_ADDRESSES)]
    unready = [endpoint(f"10.9.0.{number}", ready=False) for number in range(1, 5)]
    made = endpoints_object(SERVICE, [endpoint_slice("a", *unready, *ready)])
    assert [len(subset.addresses) for subset in made.subsets] == [MAXIMUM_ADDRESSES]
    assert made.subsets[0].not_ready_addresses == ()
    assert made.metadata.annotations == {OVER_CAPACITY_ANNOTATION: "truncated"}


def test_the_object_carries_the_services_labels() -> None:
    made = endpoints_object(SERVICE, [])
    assert made.metadata.labels == {"a": "b", "endpoints.kubernetes.io/managed-by": "endpoint-controller"}
    assert (made.key, made.subsets, made.metadata.annotations) == (("default", "web"), (), {})
