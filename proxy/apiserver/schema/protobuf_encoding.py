"""Kubernetes objects in protobuf, as typed clients ask for them.

The form of an answer is apimachinery's pkg/runtime/serializer/protobuf; field numbers are the schema's. Invariant: what
`protobuf_object` reads from an answer is the document that it was made of, empty values of no meaning aside.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

import msgspec

from proxy.apiserver.document import Document
from proxy.apiserver.schema.protobuf import message, number_field, text
from proxy.apiserver.schema.schema_types import ListOf, MapOf, Record, Scalar, Type

MAGIC = b"k8s\0"


def enveloped(api_version: str, kind: str, content: bytes) -> bytes:
    """`runtime.Unknown`: the message `content` with what it is."""
    return MAGIC + message(1, text(1, api_version), text(2, kind)) + message(2, content)


def message_of(record: Record, document: Document) -> bytes:
    """The fields of an object of type `record`, in the order of their numbers; what it does not know is left out."""
    return b"".join(_fields(_numbers(record), record, document, ()))


def list_message(metadata: bytes, items: Iterable[bytes]) -> bytes:
    """A list of objects, which are messages: every list has its metadata in 1 and its items in 2."""
    return message(1, metadata) + b"".join(message(2, item) for item in items)


def _numbers(record: Record) -> list[tuple[tuple[int, ...], str]]:
    return sorted(record.names.items())


def _fields(
    numbers: list[tuple[tuple[int, ...], str]], record: Record, document: Document, outer: tuple[int, ...]
) -> Iterator[bytes]:
    """The fields below the message `outer`, which JSON does not have."""
    for place, name in numbers:
        if place[:-1] != outer:
            continue
        if not name:
            inner = b"".join(_fields(numbers, record, document, place))
            if inner:
                yield message(place[-1], inner)
        elif document.get(name) is not None:
            yield from _field(place[-1], record.fields[name].type, document[name])


def _field(number: int, expected: Type, value: Any) -> Iterator[bytes]:
    if isinstance(expected, ListOf):
        for item in value:
            yield from _field(number, expected.items, item)
    elif isinstance(expected, MapOf):
        for key in sorted(value):
            yield message(number, text(1, key), *_field(2, expected.values, value[key]))
    elif isinstance(expected, Record):
        yield message(number, message_of(expected, value or {}))
    else:
        yield _scalar(number, expected, value)


def _scalar(number: int, expected: Scalar, value: Any) -> bytes:
    if expected.name in ("integer", "boolean"):
        return number_field(number, int(value))
    return message(number, _CONTENT[expected.name](value))


def _time(value: str) -> bytes:
    moment = datetime.fromisoformat(value)
    return number_field(1, int(moment.replace(microsecond=0).timestamp())) + number_field(2, moment.microsecond * 1000)


def _quantity(value: Any) -> bytes:
    return text(1, str(value))


def _int_or_string(value: int | str) -> bytes:
    if isinstance(value, str):
        return number_field(1, 1) + text(3, value)
    return number_field(1, 0) + number_field(2, value)


def _any(value: object) -> bytes:
    return message(1, msgspec.json.encode(value))


_CONTENT: Mapping[str, Callable[[Any], bytes]] = MappingProxyType(
    {
        "string": str.encode,
        "Time": _time,
        "MicroTime": _time,
        "Quantity": _quantity,
        "IntOrString": _int_or_string,
        "any": _any,
    }
)
