"""EndpointSlices by their Service."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.model.endpoint_slice import SERVICE_NAME_LABEL, EndpointSlice
from proxy.model.metadata import ObjectMeta
from proxy.plan.slice_index import SliceIndex


def slice_for(service: str, name: str = "s", address_type: str = "IPv4") -> EndpointSlice:
    labels = {SERVICE_NAME_LABEL: service} if service else {}
    return EndpointSlice(ObjectMeta(name, "default", labels), address_type)


def test_a_slice_touches_its_service_once_and_again_only_when_it_differs() -> None:
    index = SliceIndex()
    assert index.put(slice_for("a")) == {("default", "a")}
    assert index.put(slice_for("a")) == set()
    assert index.put(slice_for("a", address_type="IPv6")) == {("default", "a")}


def test_a_slice_that_moves_touches_both_services() -> None:
    index = SliceIndex()
    index.put(slice_for("a"))
    assert index.put(slice_for("b")) == {("default", "a"), ("default", "b")}
    assert not list(index.of(("default", "a")))


def test_a_slice_without_the_label_belongs_to_nobody() -> None:
    index = SliceIndex()
    assert index.put(slice_for("")) == set()
    assert index.remove(("default", "s")) == set()
    assert index.remove(("default", "never seen")) == set()


steps = st.tuples(st.sampled_from("xyz"), st.sampled_from([None, "", "a", "b"]), st.sampled_from(["IPv4", "IPv6"]))


@given(st.lists(steps))
def test_agrees_with_a_plain_scan(history: list[tuple[str, str | None, str]]) -> None:
    index, known = SliceIndex(), dict[str, EndpointSlice]()
    for name, service, address_type in history:
        if service is None:
            index.remove(("default", name))
            known.pop(name, None)
        else:
            known[name] = slice_for(service, name, address_type)
            index.put(known[name])
    for service in ("", "a", "b"):
        expected = [each for _, each in sorted(known.items()) if service and each.service == ("default", service)]
        assert sorted(index.of(("default", service)), key=lambda each: each.key) == expected
