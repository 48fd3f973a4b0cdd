"""JSON Merge Patch (RFC 7386), with the examples and laws of the RFC."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.apiserver.writes.merge_patch import apply_merge_patch

NAMES = st.sampled_from("abc")
VALUES = st.recursive(
    st.integers(0, 3) | st.text("xy", max_size=2) | st.lists(st.integers(0, 2), max_size=2),
    lambda parts: st.dictionaries(NAMES, parts, max_size=3),
    max_leaves=10,
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=3)


# RFC 7386, appendix A.
@pytest.mark.parametrize(
    ("document", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_follows_the_examples_of_the_rfc(document: Any, patch: Any, expected: Any) -> None:
    assert apply_merge_patch(document, patch) == expected


def difference(old: Any, new: Any) -> Any:
    """The smallest patch that makes `new` of `old`."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    patch = {name: None for name in old if name not in new}
    return patch | {name: difference(old.get(name), value) for name, value in new.items() if old.get(name) != value}


@given(DOCUMENTS, DOCUMENTS)
def test_the_difference_of_two_documents_leads_from_one_to_the_other(old: Any, new: Any) -> None:
    before = copy.deepcopy(old)
    assert apply_merge_patch(old, difference(old, new)) == new
    assert old == before


@given(DOCUMENTS, DOCUMENTS)
def test_applying_twice_changes_nothing_more(document: Any, patch: Any) -> None:
    once = apply_merge_patch(document, patch)
    assert apply_merge_patch(once, patch) == once


def test_the_result_shares_nothing_with_the_patch() -> None:
    patch: dict[str, Any] = {"a": [1]}
    patched = apply_merge_patch({}, patch)
    patched["a"].append(2)
    assert patch == {"a": [1]}
