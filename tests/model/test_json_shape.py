"""From what PyYAML and json yield to JSON shape."""

import json
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.json_shape import ShapeError, json_shape

JSON_WITHOUT_NULLS = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


@given(JSON_WITHOUT_NULLS)
def test_leaves_json_without_nulls_as_it_is(value: object) -> None:
    assert json_shape(value) == value


@pytest.mark.parametrize(
    ("text", "shaped"),
    [
        ("a: null\nb: 1", {"b": 1}),
        ("labels: {a: null, b: x}", {"labels": {"a": "", "b": "x"}}),
        ("labels: null", {}),
        ("at: 2025-05-23T10:00:21Z", {"at": "2025-05-23T10:00:21Z"}),
        ("at: 2025-05-23T10:00:21+02:00", {"at": "2025-05-23T08:00:21Z"}),
        ("at: 2025-05-23 10:00:21", {"at": "2025-05-23T10:00:21Z"}),
        ("at: 2025-05-23", {"at": "2025-05-23"}),
        ("80: x\ntrue: y", {"80": "x", "true": "y"}),
        ("a: !!binary aGVsbG8=", {"a": "aGVsbG8="}),
        ("[1, null]", [1, None]),
        ("a: &a [1]\nb: *a", {"a": [1], "b": [1]}),
    ],
)
def test_reads_yaml_as_the_api_would(text: str, shaped: object) -> None:
    assert json_shape(yaml.safe_load(text)) == shaped


def test_replaces_half_a_surrogate_pair_as_go_does() -> None:
    shaped = json_shape({"k\udc00": json.loads('"a\\ud800b"')})
    assert shaped == {"k\ufffd": "a\ufffdb"}


@pytest.mark.parametrize(
    ("number", "shaped"), [(2**63, 2.0**63), (-(2**70), -(2.0**70)), (10**400, math.inf), (-(10**400), -math.inf)]
)
def test_a_number_of_more_than_64_bits_is_no_integer(number: int, shaped: float) -> None:
    result = json_shape(number)
    assert result == shaped
    assert isinstance(result, float)


def test_refuses_a_value_that_contains_itself() -> None:
    with pytest.raises(ShapeError, match="nested more than 64 levels deep"):
        json_shape(yaml.safe_load("&a [*a]"))


def test_refuses_a_value_that_anchors_blow_up() -> None:
    value: object = "lol"
    for _ in range(40):
        value = [value] * 10
    with pytest.raises(ShapeError, match="more than 1000000 values"):
        json_shape(value)


def test_refuses_what_has_no_json_form() -> None:
    with pytest.raises(ShapeError, match="a complex has no JSON form"):
        json_shape({"a": 1j})
