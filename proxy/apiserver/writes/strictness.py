"""Strictness: what becomes of fields that a kind does not have, as `fieldValidation` asks.

Imports this room's schema and `model`'s JSON shape. Invariant: what is returned holds only known fields of the right
types and no nulls, whatever was sent.
"""

from proxy.apiserver import status
from proxy.apiserver.document import Document
from proxy.apiserver.kinds import Kind
from proxy.apiserver.schema.schema import record_of, unknown_fields
from proxy.apiserver.schema.schema_conformance import type_mismatch
from proxy.apiserver.schema.schema_types import ListOf, MapOf, Record, Type
from proxy.model.json_shape import ShapeError, json_shape

STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"


def conforming(kind: Kind, document: Document, validation: str) -> tuple[Document, tuple[str, ...]]:
    """The document without what `kind` does not know, and warnings for the client.

    Raises StatusError (400): for an unknown field if `validation` is Strict, for a wrong type always.
    """
    shaped = _shaped(kind, document)
    mismatch = type_mismatch(kind, shaped)
    if mismatch is not None:
        raise _unusable(kind, mismatch)
    found = tuple(f'unknown field "{path}"' for path in unknown_fields(kind, shaped))
    if found and validation == STRICT:
        raise _unusable(kind, f"strict decoding error: {', '.join(found)}")
    known = _known(record_of(kind), shaped) if found else shaped
    assert isinstance(known, dict)
    return known, found if validation == WARN else ()


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
        return {name: _known(fields[name].type, member) for name, member in value.items() if name in fields}
    if isinstance(expected, ListOf) and isinstance(value, list):
        return [_known(expected.items, item) for item in value]
    if isinstance(expected, MapOf) and isinstance(value, dict):
        return {name: _known(expected.values, member) for name, member in value.items()}
    return value


def _unusable(kind: Kind, reason: str) -> status.StatusError:
    return status.bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {reason}')
