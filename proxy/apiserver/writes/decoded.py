"""Decoded: a document of the store or of a client as an object of the model.

Invariant: only StatusError leaves, 400 for a value of the wrong type and 422 for one that is missing, as the API
server's decoder and validation divide the work.
"""

from typing import TypeVar

from proxy.apiserver import status
from proxy.apiserver.document import Document, metadata_of
from proxy.apiserver.kinds import Kind
from proxy.model.decoding import DecodingError, Object, decode

ObjectType = TypeVar("ObjectType", bound=Object)


def decoded(kind: Kind, document: Document, expected: type[ObjectType]) -> ObjectType:
    """`document`, an object of `kind`. Raises StatusError."""
    try:
        found = decode(document)
    except DecodingError as error:
        if all(each.reason == "FieldValueRequired" for each in error.errors):
            raise status.invalid(kind, metadata_of(document).get("name", ""), error.errors) from error
        raise status.bad_request(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {error}'
        ) from error
    assert isinstance(found, expected)
    return found
