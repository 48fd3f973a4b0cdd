"""Values of the wrong type, such as a string where the schema has a number.

Invariant: a document without a mismatch has the schema's shape all the way down (or null), so
whoever handles it afterwards needs no checks of its own.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from proxy.apiserver.document import Document
from proxy.apiserver.kinds import Kind
from proxy.apiserver.schema.schema import record_of
from proxy.apiserver.schema.schema_types import ListOf, MapOf, Record, Scalar, Type

_GO_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "string": "string",
        "integer": "int32",
        "boolean": "bool",
        "number": "float64",
        "Time": "string",
        "MicroTime": "string",
        "Quantity": "string",
        "IntOrString": "intstr.IntOrString",
    }
)
_LAYOUTS: Mapping[str, str] = MappingProxyType(
    {"Time": "2006-01-02T15:04:05Z07:00", "MicroTime": "2006-01-02T15:04:05.000000Z07:00"}
)
_TIME = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)
_TIME_ELEMENTS = (
    ("2006", r"\d{4}"),
    ("-", "-"),
    ("01", r"\d\d"),
    ("-", "-"),
    ("02", r"\d\d"),
    ("T", "T"),
    ("15", r"\d\d"),
    (":", ":"),
    ("04", r"\d\d"),
    (":", ":"),
    ("05", r"\d\d(\.\d+)?"),
)


def type_mismatch(kind: Kind, document: Document) -> str | None:
    """What is wrong with the first value of a wrong type, in the words of the API server's decoder, or None:
    `json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32`."""
    return next(_mismatches(record_of(kind), document, "", kind.kind), None)


def _mismatches(expected: Type, value: object, path: str, struct: str) -> Iterator[str]:
    if value is None:
        return
    if not _fits(expected, value):
        place = f"Go struct field {struct}.{path}" if path else "Go value"
        yield f"json: cannot unmarshal {_json_type(value)} into {place} of type {_go_type(expected)}"
    elif isinstance(expected, Scalar) and expected.name in _LAYOUTS and isinstance(value, str):
        yield from _time_errors(value, _LAYOUTS[expected.name])
    elif isinstance(expected, Record) and isinstance(value, dict):
        for name in filter(expected.fields.__contains__, value):
            member_path = f"{path}.{name}" if path else name
            yield from _mismatches(expected.fields[name].type, value[name], member_path, expected.name)
    elif isinstance(expected, ListOf) and isinstance(value, list):
        for item in value:
            yield from _mismatches(expected.items, item, path, struct)
    elif isinstance(expected, MapOf) and isinstance(value, dict):
        for member in value.values():
            yield from _mismatches(expected.values, member, path, struct)


def _time_errors(text: str, layout: str) -> Iterator[str]:
    """What Go's time.Parse says of a text that is no time of RFC 3339."""
    if not _TIME.fullmatch(text):
        rest, element = _unparsed(text)
        yield f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{element}"'


def _unparsed(text: str) -> tuple[str, str]:
    """The first element of the layout that the text does not have, and what it has there."""
    for element, pattern in _TIME_ELEMENTS:
        match = re.match(pattern, text)
        if match is None:
            return text, element
        text = text[match.end() :]
    return text, "Z07:00"


def _fits(expected: Type, value: object) -> bool:
    if isinstance(expected, ListOf):
        return isinstance(value, list)
    if isinstance(expected, (MapOf, Record)):
        return isinstance(value, dict)
    return _scalar_fits(expected.name, value)


def _scalar_fits(name: str, value: object) -> bool:
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if name == "any":
        return True
    if name == "boolean":
        return isinstance(value, bool)
    if name == "integer":
        return is_integer
    if name == "number":
        return is_integer or isinstance(value, float)
    if name == "IntOrString":
        return is_integer or isinstance(value, str)
    if name == "Quantity":
        return is_integer or isinstance(value, (float, str))
    return isinstance(value, str)


def _json_type(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _go_type(expected: Type) -> str:
    if isinstance(expected, ListOf):
        return f"[]{_go_type(expected.items)}"
    if isinstance(expected, MapOf):
        return f"map[string]{_go_type(expected.values)}"
    return _GO_TYPES[expected.name] if isinstance(expected, Scalar) else f"v1.{expected.name}"
