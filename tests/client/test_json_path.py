"""kubectl's JSONPath, as far as it is usually written."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.client.json_path import custom_columns, found, parse_path, parse_template

DATA: dict[str, Any] = {
    "items": [
        {"metadata": {"name": "web", "labels": {"a.b/c": "x"}}, "port": 80, "ready": True},
        {"metadata": {"name": "db"}, "port": 5432, "ready": False},
    ]
}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{.items[*].metadata.name}", "web db"),
        ("{.items[0].port}", "80"),
        ("{.items[-1].metadata.name}", "db"),
        ("{.items[0:1].metadata.name}", "web"),
        ("{$.items[1].ready}", "false"),
        ("{.items[0].metadata.labels.a\\.b/c}", "x"),
        ("{.items[0].metadata.labels['a.b/c']}", "x"),
        ('{range .items[*]}{.metadata.name}{"\\t"}{.port}{"\\n"}{end}', "web\t80\ndb\t5432\n"),
        ('{.items[?(@.metadata.name=="db")].port}', "5432"),
        ("{.items[?(@.port>100)].metadata.name}", "db"),
        ("{.items[?(@.metadata.labels)].metadata.name}", "web"),
        ("first: {.items[0].metadata.name}.", "first: web."),
        ("{.nowhere.at.all}", ""),
        ("{.items[0].metadata}", '{"name":"web","labels":{"a.b/c":"x"}}'),
    ],
)
def test_a_template_is_filled_in_as_kubectl_does(template: str, text: str) -> None:
    assert parse_template(template).filled(DATA) == text


@pytest.mark.parametrize("template", ["{.items[}", "{", "{range .items[*]}", "{end}", "{.a[b]}"])
def test_a_mistake_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match=r"is not understood|has no|stands without"):
        parse_template(template)


def test_columns_have_headers_and_paths() -> None:
    columns = custom_columns("NAME:.metadata.name,PORT:port")
    assert [(header, found(path, DATA["items"][0])) for header, path in columns] == [("NAME", ["web"]), ("PORT", [80])]


@pytest.mark.parametrize("text", ["NAME", "NAME:", ":.a", ""])
def test_a_column_without_a_header_or_a_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be HEADER:PATH"):
        custom_columns(text)


@given(st.text(alphabet="{}.[]*?@='\"ab$\\ :-09<>!()", max_size=30))
def test_any_text_is_understood_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_template(text).filled(DATA)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.integers()))
def test_every_field_is_found_by_its_name(data: dict[str, int]) -> None:
    for name, value in data.items():
        assert found(parse_path(f".{name}"), data) == [value]
