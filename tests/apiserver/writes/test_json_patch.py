"""JSON Patch (RFC 6902), with the examples of the RFC."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.apiserver.status import StatusError
from proxy.apiserver.writes.json_patch import apply_json_patch, json_identity, same_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab/~", max_size=3),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text("ab/~", max_size=2), parts, max_size=3),
    max_leaves=8,
)

# RFC 6902, appendix A.
EXAMPLES: list[tuple[Any, list[Any], Any]] = [
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    ({"foo": ["bar", "baz"]}, [{"op": "add", "path": "/foo/1", "value": "qux"}], {"foo": ["bar", "qux", "baz"]}),
    ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
    ({"baz": "qux"}, [{"op": "replace", "path": "/baz", "value": "boo"}], {"baz": "boo"}),
    (
        {"foo": {"bar": "baz"}, "qux": {}},
        [{"op": "move", "from": "/foo/bar", "path": "/qux/t"}],
        {"foo": {}, "qux": {"t": "baz"}},
    ),
    (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    ({"baz": "qux", "foo": ["a", 2]}, [{"op": "test", "path": "/foo/1", "value": 2}], {"baz": "qux", "foo": ["a", 2]}),
    ({"foo": "bar"}, [{"op": "add", "path": "/child", "value": {"a": {}}}], {"foo": "bar", "child": {"a": {}}}),
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}], {"foo": "bar", "baz": "qux"}),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    ({"foo": ["bar"]}, [{"op": "add", "path": "/foo/-", "value": ["abc"]}], {"foo": ["bar", ["abc"]]}),
    (
        {"a": [1]},
        [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "add", "path": "/b/0", "value": 0}],
        {"a": [1], "b": [0, 1]},
    ),
    ({"a": 1}, [{"op": "replace", "path": "", "value": {"b": 2}}], {"b": 2}),
    ({"a": [1]}, [{"op": "move", "from": "/a", "path": "/a"}], {"a": [1]}),
    # As the API server has it beyond the RFC.
    ({"a": 1}, [{"op": "replace", "path": "/b", "value": 2}], {"a": 1, "b": 2}),
    ({"a": 1}, [{"op": "test", "path": "/b", "value": None}], {"a": 1}),
    ({"a": [1, 2]}, [{"op": "add", "path": "/a/-1", "value": 3}], {"a": [1, 2, 3]}),
    ({"a": [1, 2]}, [{"op": "add", "path": "/a/-2", "value": 3}], {"a": [1, 3, 2]}),
    ({"a": [1, 2]}, [{"op": "remove", "path": "/a/-1"}], {"a": [1]}),
    ({"a": [1, 2]}, [{"op": "replace", "path": "/a/-2", "value": 3}], {"a": [3, 2]}),
]


@pytest.mark.parametrize(("document", "patch", "expected"), EXAMPLES)
def test_follows_the_examples_of_the_rfc(document: Any, patch: list[Any], expected: Any) -> None:
    assert apply_json_patch(document, patch) == expected


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/baz", "value": "bar"},
        {"op": "test", "path": "/a/0", "value": True},
        {"op": "add", "path": "/missing/bat", "value": 1},
        {"op": "add", "path": "/a/3", "value": 1},
        {"op": "add", "path": "/a/01", "value": 1},
        {"op": "add", "path": "/a/x", "value": 1},
        {"op": "remove", "path": "/missing"},
        {"op": "remove", "path": "/a/1"},
        {"op": "replace", "path": "/missing/bat", "value": 1},
        {"op": "test", "path": "/missing", "value": 1},
        {"op": "test", "path": "/missing/bat", "value": None},
        {"op": "add", "path": "/a/-3", "value": 1},
        {"op": "remove", "path": "/a/-2"},
        {"op": "replace", "path": "/a/-", "value": 1},
        {"op": "copy", "from": "/missing", "path": "/b"},
        {"op": "move", "from": "/o", "path": "/o/in"},
    ],
)
def test_refuses_what_does_not_apply_and_says_where(operation: dict[str, Any]) -> None:
    document = {"baz": "qux", "a": [1], "o": {}}
    before = copy.deepcopy(document)
    with pytest.raises(StatusError) as raised:
        apply_json_patch(document, [{"op": "add", "path": "/new", "value": 1}, operation])
    status = raised.value.status
    assert (status.code, status.reason) == (422, "Invalid")
    assert status.message == "the server rejected our request due to an error in our request"
    assert status.details is not None
    assert status.details.causes[0].message.startswith(f'{operation["op"]} operation does not apply to "/')
    assert document == before


@pytest.mark.parametrize(
    "patch",
    [
        {"op": "add"},
        "text",
        [1],
        [{"op": "increment", "path": "/a"}],
        [{"op": ["add"], "path": "/a"}],
        [{"op": "add", "path": "a", "value": 1}],
        [{"op": "add", "value": 1}],
        [{"op": "add", "path": "/a"}],
        [{"op": "move", "path": "/a", "from": 7}],
    ],
)
def test_refuses_what_is_no_patch(patch: object) -> None:
    with pytest.raises(StatusError) as raised:
        apply_json_patch({"a": 1}, patch)
    assert raised.value.status.code == 400


def test_refuses_more_operations_than_the_api_server_takes() -> None:
    with pytest.raises(StatusError) as raised:
        apply_json_patch({}, [{"op": "test", "path": "", "value": {}}] * 10_001)
    assert raised.value.status.code == 413


def test_copies_that_double_end_before_they_are_made() -> None:
    document = {"spec": {"a": "x" * 1000}}
    doubling = [{"op": "copy", "from": "/spec", "path": f"/spec/c{number}"} for number in range(40)]
    with pytest.raises(StatusError) as raised:
        apply_json_patch(document, doubling)
    status = raised.value.status
    assert (status.code, status.details is not None) == (422, True)
    assert status.details is not None
    assert "exceeding the limit 3145728" in status.details.causes[0].message
    assert len(apply_json_patch(document, doubling[:10])["spec"]) == 11


def test_a_patch_that_nests_without_end_is_refused() -> None:
    nesting = [{"op": "move", "from": "/a", "path": "/b"}, {"op": "add", "path": "/a", "value": {}}]
    nesting += [{"op": "move", "from": "/b", "path": "/a/b"}, {"op": "move", "from": "/a", "path": "/b"}]
    nesting.append({"op": "add", "path": "/a", "value": {}})
    with pytest.raises(StatusError) as raised:
        apply_json_patch({"a": {}}, [*nesting[:2], *nesting[2:] * 2000])
    assert raised.value.status.code == 400


@given(JSON, JSON)
def test_values_have_one_identity_exactly_when_they_are_the_same(one: Any, other: Any) -> None:
    assert (json_identity(one) == json_identity(other)) == same_json(one, other)


@given(JSON, JSON)
def test_a_value_put_anywhere_is_found_there_and_can_be_taken_away_again(document: Any, value: Any) -> None:
    whole = {"first": document, "list": [document]}
    for path in ("/new", "/list/0", "/list/-"):
        added = apply_json_patch(whole, [{"op": "add", "path": path, "value": value}])
        place = path.replace("-", "1")
        assert apply_json_patch(added, [{"op": "test", "path": place, "value": value}]) == added
        assert apply_json_patch(added, [{"op": "remove", "path": place}]) == whole


@given(JSON, JSON)
def test_values_are_the_same_exactly_when_their_text_is(one: Any, other: Any) -> None:
    def text(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ",".join(f"{key!r}:{text(value[key])}" for key in sorted(value)) + "}"
        return "[" + ",".join(map(text, value)) + "]" if isinstance(value, list) else repr(value)

    assert same_json(one, other) == (text(one) == text(other))


def test_numbers_are_the_same_by_value() -> None:
    assert same_json({"a": [1]}, {"a": [1.0]})
    assert not same_json(1, True)
    assert not same_json([1], {"0": 1})
