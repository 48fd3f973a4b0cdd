"""Label and field selectors, compared with a reading of the same requirements that parses nothing."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.apiserver.http.selectors import field_selector, label_selector
from proxy.apiserver.kinds import EVENTS, PODS, SERVICES

KEYS = st.sampled_from(["app", "tier", "example.com/x"])
VALUES = st.sampled_from(["", "a", "b", "in"])
REQUIREMENTS = st.tuples(
    KEYS, st.sampled_from(["=", "==", "!=", "in", "notin", "exists", "!"]), st.lists(VALUES, min_size=1)
)


def labelled(labels: dict[str, str]) -> dict[str, Any]:
    return {"metadata": {"labels": labels}}


def written(key: str, operator: str, values: list[str]) -> str:
    if operator in ("in", "notin"):
        return f"{key} {operator} ({', '.join(values)})"
    if operator in ("exists", "!"):
        return key if operator == "exists" else f"!{key}"
    return f"{key}{operator}{values[0]}"


def holds(labels: dict[str, str], key: str, operator: str, values: list[str]) -> bool:
    value = labels.get(key)
    match operator:
        case "exists":
            return value is not None
        case "!":
            return value is None
        case "in":
            return value is not None and value in values
        case "notin":
            return value is None or value not in values
        case "!=":
            return value != values[0]
    return value == values[0]


@given(st.dictionaries(KEYS, VALUES), st.lists(REQUIREMENTS, max_size=4))
def test_a_label_selector_means_all_of_its_requirements(
    labels: dict[str, str], requirements: list[tuple[str, str, list[str]]]
) -> None:
    text = ",".join(written(*requirement) for requirement in requirements)
    expected = all(holds(labels, *requirement) for requirement in requirements)
    assert label_selector(text)(labelled(labels)) is expected


@pytest.mark.parametrize("text", ["a b", "a=b=c", "a in", "a in (x", ",", "a,", "-a=b", "a=b c", "(", "=x", "a=-"])
def test_a_label_selector_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="unable to parse requirement"):
        label_selector(text)


@given(st.text(max_size=20))
def test_nothing_but_value_error_leaves_a_label_selector(text: str) -> None:
    with contextlib.suppress(ValueError):
        label_selector(text)(labelled({}))


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ("metadata.name=web", True),
        ("metadata.name==web,spec.type=NodePort", True),
        ("metadata.name!=web", False),
        ("spec.clusterIP!=None", True),
        ("spec.clusterIP=", True),
        ("metadata.namespace=kube-system", False),
    ],
)
def test_field_selectors_compare_the_fields_of_a_service(text: str, selected: bool) -> None:
    document = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"type": "NodePort"}}
    assert field_selector(SERVICES, text)(document) is selected


def test_field_selectors_read_what_events_are_about() -> None:
    document = {"metadata": {"name": "e"}, "involvedObject": {"kind": "Service"}, "source": {"component": "svcproxy"}}
    assert field_selector(EVENTS, "involvedObject.kind=Service,source=svcproxy")(document)
    assert not field_selector(EVENTS, "involvedObject.kind=Pod")(document)


def test_booleans_are_compared_as_text() -> None:
    assert field_selector(PODS, "spec.hostNetwork=true")({"metadata": {}, "spec": {"hostNetwork": True}})


@pytest.mark.parametrize(
    ("text", "message"),
    [("spec.foo=1", "field label not supported: spec.foo"), ("nonsense", "can't understand 'nonsense'")],
)
def test_a_field_that_is_not_indexed_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        field_selector(SERVICES, text)
