"""Strictness: what becomes of fields that a kind does not have, as `fieldValidation` asks.

Invariant: what is returned holds only known fields of the right
types, no nulls, and no empty values where they mean nothing, whatever was sent.
"""

from collections.abc import Iterable

from proxy.apiserver import status
from proxy.apiserver.document import Document, metadata_of
from proxy.apiserver.kinds import SERVICES, Kind
from proxy.apiserver.schema.schema import record_of, unknown_fields
from proxy.apiserver.schema.schema_conformance import type_mismatch
from proxy.apiserver.schema.schema_types import Field, ListOf, MapOf, Record, Scalar, Type
from proxy.model.field_errors import too_many
from proxy.model.json_shape import ShapeError, json_shape

STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"
_LEFT_OUT = ("string", "integer", "boolean")
_MOST_ITEMS = 5_000
"""Of the lists and maps that the API server leaves without a bound of their own."""
_BOUNDED = tuple(
    ("metadata", name) for name in ("labels", "annotations", "finalizers", "ownerReferences", "managedFields")
)
_BOUNDED_OF_SERVICES = tuple(
    ("spec", name) for name in ("ports", "selector", "externalIPs", "loadBalancerSourceRanges", "clusterIPs")
)


def conforming(
    kind: Kind, document: Document, validation: str, duplicates: Iterable[str] = ()
) -> tuple[Document, tuple[str, ...]]:
    """The document without what `kind` does not know, and warnings for the client; `duplicates` are the paths that it
    set more than once.

    Raises StatusError (400): for an unknown or repeated field if `validation` is Strict, for a wrong type always.
    """
    _require_bounded(kind, document)
    shaped = _shaped(kind, document)
    mismatch = type_mismatch(kind, shaped)
    if mismatch is not None:
        raise _unusable(kind, mismatch)
    found = strict_errors(kind, shaped, duplicates)
    if found and validation == STRICT:
        raise _unusable(kind, f"strict decoding error: {', '.join(found)}")
    known = _known(record_of(kind), shaped)
    assert isinstance(known, dict)
    return known, found if validation == WARN else ()


def strict_errors(kind: Kind, document: Document, duplicates: Iterable[str] = ()) -> tuple[str, ...]:
    """What strict decoding finds: members that are set more than once, at the paths `duplicates`, and unknown ones."""
    return (
        *(f'duplicate field "{path}"' for path in duplicates),
        *(f'unknown field "{path}"' for path in unknown_fields(kind, document)),
    )


def _require_bounded(kind: Kind, document: Document) -> None:
    """Raises StatusError (422) before work is done that is in proportion to more items than anybody needs."""
    errors = [
        too_many(".".join(path), len(found), _MOST_ITEMS)
        for path in (*_BOUNDED, *(_BOUNDED_OF_SERVICES if kind is SERVICES else ()))
        if isinstance(found := _at(document, path), dict | list) and len(found) > _MOST_ITEMS
    ]
    if errors:
        raise status.invalid(kind, str(metadata_of(document).get("name") or ""), errors)


def _at(document: Document, path: Iterable[str]) -> object:
    found: object = document
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _shaped(kind: Kind, document: Document) -> Document:
    try:
        shaped = json_shape(document)
    except ShapeError as error:
        raise _unusable(kind, str(error)) from error
    assert isinstance(shaped, dict)
    return shaped


def _known(expected: Type, value: object) -> object:
    if isinstance(expected, Record) and isinstance(value, dict):
        fields = expected.fields
        members = {name: _known(fields[name].type, member) for name, member in value.items() if name in fields}
        return {name: member for name, member in members.items() if not _says_nothing(fields[name], member)}
    if isinstance(expected, ListOf) and isinstance(value, list):
        return [_known(expected.items, item) for item in value]
    if isinstance(expected, MapOf) and isinstance(value, dict):
        return {name: _known(expected.values, member) for name, member in value.items()}
    return value


def _says_nothing(field: Field, value: object) -> bool:
    """Whether `value` is what the API server leaves out as empty, since to it that is no value at all."""
    if field.is_required or field.is_explicit or isinstance(field.type, Record):
        return False
    if isinstance(field.type, Scalar):
        return field.type.name in _LEFT_OUT and value in ("", 0, False)
    return value in ([], {})


def _unusable(kind: Kind, reason: str) -> status.StatusError:
    return status.bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {reason}')
