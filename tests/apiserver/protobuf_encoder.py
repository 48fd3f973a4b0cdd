"""A writer of Kubernetes' protobuf of the tests' own: fields by number, or documents by schema."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from proxy.apiserver.schema.schema_types import ListOf, MapOf, Record, Type

Fields = Iterable[tuple[int, Any]]
"""Field numbers, and integers, texts, bytes or the fields of a message."""

MAGIC = b"k8s\x00"


def varint(value: int) -> bytes:
    """An integer, of 64 bits where it is negative."""
    value %= 1 << 64
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def encoded(fields: Fields) -> bytes:
    """A message: integers are varints; texts, bytes and messages have a length."""
    return b"".join(_field(number, value) for number, value in fields)


def protobuf_body(kind: str, raw: bytes | Fields, api_version: str = "v1") -> bytes:
    """An object in its envelope."""
    content = raw if isinstance(raw, bytes) else encoded(raw)
    return MAGIC + encoded([(1, [(1, api_version), (2, kind)]), (2, content), (3, ""), (4, "")])


def document_fields(record: Record, document: dict[str, Any]) -> Fields:
    """A document of the type, one field after the other; each field of a message within is a piece of its own."""
    numbers = {name: number for number, name in record.names.items()}
    for name, member in document.items():
        if name in numbers:
            *outer, number = numbers[name]
            for value in _values(record.fields[name].type, member):
                field = (number, value)
                for around in reversed(outer):
                    field = (around, [field])
                yield field


def _values(expected: Type, member: Any) -> list[Any]:
    if isinstance(expected, ListOf):
        return [value for item in member for value in _values(expected.items, item)]
    if isinstance(expected, MapOf):
        return [[(1, key), (2, value)] for key, item in member.items() for value in _values(expected.values, item)]
    if isinstance(expected, Record):
        return [list(document_fields(expected, member))]
    return [_scalar(expected.name, member)]


def _scalar(name: str, member: Any) -> Any:
    if name in ("Time", "MicroTime"):
        moment = datetime.fromisoformat(member)
        return [(1, int(moment.replace(microsecond=0).timestamp())), (2, moment.microsecond * 1000)]
    if name == "Quantity":
        return [(1, member)]
    if name == "IntOrString":
        is_text = isinstance(member, str)
        return [(1, int(is_text)), (2, 0 if is_text else member), (3, member if is_text else "")]
    if name == "any":
        return [(1, json.dumps(member))]
    return member


def _field(number: int, value: Any) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else encoded(value)
    return varint(number << 3 | 2) + varint(len(content)) + content
