"""The compact endpoint is equal, and shares."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.model.endpoint_slice import Endpoint, EndpointConditions, TargetReference
from proxy.sources.kubernetes_api.compact_endpoint import compact_endpoint

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
