"""The notation of the table of fields, and what is refused in it."""

import pytest

from proxy.apiserver.schema.schema_notation import NotationError, read_types
from proxy.apiserver.schema.schema_types import Field, ListOf, MapOf, Scalar


def test_a_line_says_everything_about_a_field() -> None:
    text = """
    Port:
      _: "atomic | A port."
      number: 3 integer required | The number, above 0.
      protocol: string default=TCP enum=TCP,UDP
    Spec:
      ports: >-
        list of Port merge=number keys=number,protocol retainKeys | All
        of them.
      names: list of string merge set
      nested: 2.10 map of list of string atomic
      other: 2.1 string explicit
    """
    types = read_types({"p/a.yaml": text})
    port, spec = types["p", "Port"], types["p", "Spec"]
    assert (port.description, port.is_atomic, port.full_name) == ("A port.", True, "p.Port")
    assert dict(port.fields) == {
        "number": Field(Scalar("integer"), "The number, above 0.", is_required=True),
        "protocol": Field(Scalar("string"), default="TCP", enum=("TCP", "UDP")),
    }
    assert dict(spec.fields) == {
        "ports": Field(ListOf(port, True, "number", True, ("number", "protocol")), "All of them."),
        "names": Field(ListOf(Scalar("string"), merges=True, is_set=True)),
        "nested": Field(MapOf(ListOf(Scalar("string")), is_atomic=True)),
        "other": Field(Scalar("string"), is_explicit=True),
    }
    assert dict(port.names) == {(3,): "number"}
    assert dict(spec.names) == {(2, 10): "nested", (2, 1): "other", (2,): ""}


def test_a_type_is_looked_for_in_its_own_package_first() -> None:
    first = read_types({"a/x": "Port: {n: integer}\nSpec: {p: Port, q: Other}", "b/x": "Port: {}\nOther: {}"})
    fields = first["a", "Spec"].fields
    assert fields["p"].type == first["a", "Port"]
    assert fields["q"].type == first["b", "Other"]


@pytest.mark.parametrize("number", ["1", "2.1", "2"])
def test_no_two_fields_have_one_number(number: str) -> None:
    with pytest.raises(NotationError, match="the same number"):
        read_types({"a/x": f"Spec: {{a: 1 string, b: 2.1 string, c: {number} string}}"})


@pytest.mark.parametrize(
    "line", ["string sometimes", "string required=yes", "string enum", "Missing", "list of Missing"]
)
def test_what_is_not_in_the_notation_is_an_error(line: str) -> None:
    with pytest.raises(NotationError):
        read_types({"a/x": f"Spec: {{field: {line}}}"})
