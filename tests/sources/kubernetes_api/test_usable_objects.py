"""What is made of objects before they are used."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.changes import PodWeight
from proxy.model.endpoint_slice import (
    LAST_CHANGE_TRIGGER_TIME,
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
    TargetReference,
)
from proxy.model.metadata import ObjectMeta
from proxy.model.service import Service, ServicePort, ServiceSpec
from proxy.sources.kubernetes_api.object_reader import UnusableError
from proxy.sources.kubernetes_api.usable_objects import (
    PodMetadata,
    compact_endpoint,
    pod_weight_of,
    usable_endpoint_slice,
    usable_service,
)

META = ObjectMeta(name="web", namespace="default", annotations={"long": "text"})


def test_a_service_gets_its_defaults_and_keeps_its_annotations() -> None:
    spec = ServiceSpec(ports=(ServicePort(80),), load_balancer_source_ranges=(" 10.0.0.1/8 ",))
    made = usable_service(Service(META, spec))
    assert made.spec.ports[0].protocol == "TCP"
    assert made.metadata == META


def test_a_slice_keeps_the_time_of_its_last_change() -> None:
    triggered = {LAST_CHANGE_TRIGGER_TIME: "2026-11-26T04:00:00Z"}
    meta = ObjectMeta(name="web", namespace="default", annotations={"long": "text", **triggered})
    assert usable_endpoint_slice(EndpointSlice(meta, "IPv4", (), ())).metadata.annotations == triggered


def test_a_slice_gets_its_defaults_and_loses_its_annotations() -> None:
    endpoints = (Endpoint(("10.0.0.1",)),)
    made = usable_endpoint_slice(EndpointSlice(META, "IPv4", endpoints, (EndpointPort(port=80),)))
    assert made.ports == (EndpointPort(name="", protocol="TCP", port=80),)
    assert made.endpoints == endpoints
    assert made.metadata == ObjectMeta(name="web", namespace="default")


def test_a_weight_is_read_from_the_label() -> None:
    pod = PodMetadata(ObjectMeta(name="pod", namespace="default", labels={"svcproxy.io/weight": "0"}))
    assert pod_weight_of(pod) == PodWeight("default", "pod", 0)


@pytest.mark.parametrize("text", ["", "-1", "65536", "two"])
def test_a_label_that_is_no_weight_is_unusable(text: str) -> None:
    with pytest.raises(UnusableError, match="is not a whole number from 0 to 65535"):
        pod_weight_of(PodMetadata(ObjectMeta(name="pod", labels={"svcproxy.io/weight": text})))


TEXT = st.text(max_size=4)
ANSWER = st.sampled_from([None, True, False])
ENDPOINTS = st.builds(
    Endpoint,
    addresses=st.lists(TEXT, max_size=2).map(tuple),
    conditions=st.builds(EndpointConditions, ANSWER, ANSWER, ANSWER),
    hostname=st.none() | TEXT,
    target_ref=st.none() | st.builds(TargetReference, TEXT, TEXT, TEXT),
    node_name=st.none() | TEXT,
    zone=st.none() | TEXT,
)


@given(ENDPOINTS)
def test_it_equals_the_endpoint(endpoint: Endpoint) -> None:
    assert compact_endpoint(endpoint) == endpoint


def test_two_share_what_both_say() -> None:
    def made() -> Endpoint:
        return Endpoint(conditions=EndpointConditions(ready=True), node_name="".join(["node", "-1"]))

    one, other = compact_endpoint(made()), compact_endpoint(made())
    assert one.node_name is other.node_name
    assert one.conditions is other.conditions
