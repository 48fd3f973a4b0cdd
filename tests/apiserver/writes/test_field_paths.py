"""Sets of fields, in the form of fieldsV1."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.apiserver.kinds import PODS, SERVICES
from proxy.apiserver.schema.schema import record_of
from proxy.apiserver.writes.field_paths import (
    MissingKeyError,
    duplicate_item,
    fields_tree,
    path_text,
    paths_of_tree,
    places,
)

TCP = 'k:{"port":80,"protocol":"TCP"}'
ELEMENTS = st.sampled_from(["f:a", "f:b", TCP, 'v:"x"'])
PATHS = st.frozensets(st.lists(ELEMENTS, min_size=1, max_size=4).map(tuple))


def roles(document: dict[str, Any]) -> dict[str, str]:
    return {path_text(path): place.role for path, place in places(record_of(SERVICES), document).items() if path}


def test_a_keyed_item_is_named_by_its_keys_with_their_defaults() -> None:
    found = roles({"spec": {"ports": [{"port": 80, "nodePort": 1}]}})
    item = '.spec.ports[port=80,protocol="TCP"]'
    assert found == {
        ".spec": "group",
        ".spec.ports": "group",
        item: "item",
        f"{item}.port": "leaf",
        f"{item}.nodePort": "leaf",
    }


def test_sets_atomic_maps_and_atomic_lists_have_places_of_their_own() -> None:
    document = {"metadata": {"finalizers": ["x"]}, "spec": {"selector": {"a": "b"}, "externalIPs": ["192.0.2.1"]}}
    assert roles(document) == {
        ".metadata": "group",
        ".metadata.finalizers": "group",
        '.metadata.finalizers[="x"]': "leaf",
        ".spec": "group",
        ".spec.selector": "leaf",
        ".spec.externalIPs": "leaf",
    }


def test_a_field_that_the_schema_lacks_has_no_place() -> None:
    assert roles({"foo": {"bar": [1]}, "spec": {"foo": 1, "type": "NodePort"}}) == {
        ".spec": "group",
        ".spec.type": "leaf",
    }


def test_an_item_without_its_key_has_no_place() -> None:
    with pytest.raises(MissingKeyError, match='omits key field "port"'):
        places(record_of(SERVICES), {"spec": {"ports": [{"name": "http"}]}})


def test_the_first_item_that_is_there_twice_is_found() -> None:
    twice = {"spec": {"ports": [{"port": 80}, {"port": 80, "protocol": "UDP"}, {"port": 80, "protocol": "TCP"}]}}
    assert duplicate_item(record_of(SERVICES), twice) == ("f:spec", "f:ports", TCP)
    once = {"spec": {"ports": twice["spec"]["ports"][:2]}}
    assert duplicate_item(record_of(SERVICES), once) is None
    assert duplicate_item(record_of(PODS), {"metadata": {"finalizers": ["a", "a"]}}) is not None


def test_the_tree_is_that_of_the_api() -> None:
    paths = {
        ("f:spec", "f:ports"),
        ("f:spec", "f:ports", TCP),
        ("f:spec", "f:ports", TCP, "f:port"),
        ("f:spec", "f:type"),
    }
    assert fields_tree(paths) == {"f:spec": {"f:ports": {".": {}, TCP: {".": {}, "f:port": {}}}, "f:type": {}}}


@given(PATHS)
def test_a_set_survives_the_tree(paths: frozenset[tuple[str, ...]]) -> None:
    assert paths_of_tree(fields_tree(paths)) == paths


@pytest.mark.parametrize("tree", [{"f:a": 1}, {"f:a": {"f:b": []}}])
def test_what_is_no_tree_is_refused(tree: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a tree"):
        paths_of_tree(tree)
