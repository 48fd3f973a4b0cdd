"""The schema as OpenAPI v3 has it: `components.schemas`.

Invariant: a pure translation; merge keys, list types and map types are the extensions (x-kubernetes-*) that kubectl and
other clients go by.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from proxy.apiserver.document import Document
from proxy.apiserver.kinds import Kind
from proxy.apiserver.schema.schema_types import Field, ListOf, MapOf, Record, Scalar, Type

REFERENCE_PREFIX = "#/components/schemas/"

_QUANTITY = "A quantity such as 500m, 1.5 or 64Mi."
_SCALARS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "string": {"type": "string"},
        "integer": {"type": "integer", "format": "int64"},
        "boolean": {"type": "boolean"},
        "number": {"type": "number", "format": "double"},
        "Time": {"type": "string", "format": "date-time"},
        "MicroTime": {"type": "string", "format": "date-time"},
        "Quantity": {"oneOf": [{"type": "string"}, {"type": "number"}], "description": _QUANTITY},
        "IntOrString": {"oneOf": [{"type": "integer"}, {"type": "string"}], "format": "int-or-string"},
        "any": {"type": "object"},
    }
)


def schemas_of(kinds: Mapping[Kind, Record]) -> Document:
    """The schema of each kind and of every type that one of them refers to, by full name."""
    found: dict[str, Record] = {}
    for record in kinds.values():
        _collect(record, found)
    names = {record.full_name: kind for kind, record in kinds.items()}
    return {name: _record_schema(found[name], names.get(name)) for name in sorted(found)}


def group_version_kind(kind: Kind) -> Document:
    """The value of x-kubernetes-group-version-kind."""
    return {"group": kind.group, "kind": kind.kind, "version": kind.version}


def _collect(expected: Type, found: dict[str, Record]) -> None:
    if isinstance(expected, ListOf):
        _collect(expected.items, found)
    elif isinstance(expected, MapOf):
        _collect(expected.values, found)
    elif isinstance(expected, Record) and expected.full_name not in found:
        found[expected.full_name] = expected
        for field in expected.fields.values():
            _collect(field.type, found)


def _record_schema(record: Record, kind: Kind | None) -> Document:
    schema: Document = {"type": "object"}
    if record.description:
        schema["description"] = record.description
    required = [name for name, field in record.fields.items() if field.is_required]
    if required:
        schema["required"] = required
    schema["properties"] = {name: _field_schema(field) for name, field in record.fields.items()}
    if record.is_atomic:
        schema["x-kubernetes-map-type"] = "atomic"
    if kind is not None:
        schema["x-kubernetes-group-version-kind"] = [group_version_kind(kind)]
    return schema


def _field_schema(field: Field) -> Document:
    schema = {**_type_schema(field.type)}
    if field.description:
        schema["description"] = field.description
    if field.enum:
        schema["enum"] = list(field.enum)
    if field.default is not None:
        schema["default"] = field.default
    return schema


def _type_schema(expected: Type) -> Document:
    if isinstance(expected, Scalar):
        return dict(_SCALARS[expected.name])
    if isinstance(expected, ListOf):
        return {"type": "array", "items": _type_schema(expected.items), **dict(_list_extensions(expected))}
    if isinstance(expected, MapOf):
        schema = {"type": "object", "additionalProperties": _type_schema(expected.values)}
        return {**schema, "x-kubernetes-map-type": "atomic"} if expected.is_atomic else schema
    # A reference stands alone in a schema; what is said beside it goes by way of allOf.
    return {"allOf": [{"$ref": f"{REFERENCE_PREFIX}{expected.full_name}"}]}


def _list_extensions(expected: ListOf) -> Iterator[tuple[str, Any]]:
    if expected.merges:
        yield "x-kubernetes-patch-strategy", "merge,retainKeys" if expected.retains_keys else "merge"
    if expected.merge_key:
        yield "x-kubernetes-patch-merge-key", expected.merge_key
    if expected.keys:
        yield "x-kubernetes-list-map-keys", list(expected.keys)
    yield "x-kubernetes-list-type", "map" if expected.keys else "set" if expected.is_set else "atomic"
