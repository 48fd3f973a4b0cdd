"""Kubernetes objects in protobuf, which kubectl's typed commands and client-go's typed clients send, as documents.

The form of a body is apimachinery's
pkg/runtime/serializer/protobuf, the form of the types that JSON has as one text or number that of their own
generated.proto. Invariant: the document is the one that the same client would have sent as JSON, save that nulls and
empty values of no meaning are left out; a field that is not in the schema is skipped, as the API server does. A body
has at most as many fields as JSON may have values.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

from proxy.apiserver import status
from proxy.apiserver.bounded_text import MOST_VALUES, TextError, json_value, too_many_values
from proxy.apiserver.document import Document
from proxy.apiserver.schema.protobuf import Budget, TooManyFieldsError, WireError, varints, wire_fields
from proxy.apiserver.schema.schema_types import Field, ListOf, MapOf, Record, Scalar, Type

_MAGIC = b"k8s\0"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SUMMARY_LENGTH = 30


class _Envelope(NamedTuple):
    """`runtime.Unknown`: what the object says that it is, and the object."""

    api_version: str
    kind: str
    raw: bytes


def protobuf_object(body: bytes, expected: Record) -> Document:
    """The object of the type `expected` in `body`. Raises StatusError: 400 for what is none, 413 for one of too many
    fields."""
    try:
        return _object(body, expected, Budget(MOST_VALUES))
    except TooManyFieldsError as error:
        raise too_many_values() from error


def _object(body: bytes, expected: Record, budget: Budget) -> Document:
    try:
        envelope = _opened(body, budget)
    except WireError as error:
        unrecognized = f"the object provided is unrecognized (must be of type {expected.name})"
        raise status.bad_request(f"{unrecognized}: {error} ({_summary(body)})") from error
    kind = envelope.kind or expected.name
    if kind != expected.name:
        raise status.other_type("kind", kind, expected.name)
    document: Document = {"kind": kind, **({"apiVersion": envelope.api_version} if envelope.api_version else {})}
    try:
        _read(expected, envelope.raw, document, budget)
    except WireError as error:
        version = envelope.api_version.rpartition("/")[2] or expected.package.rpartition(".")[2]
        raise status.bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {error}') from error
    return document


def _opened(body: bytes, budget: Budget) -> _Envelope:
    if not body:
        raise WireError("empty data")
    if not body.startswith(_MAGIC):
        prefix = " ".join(str(byte) for byte in _MAGIC)
        raise WireError(f"provided data does not appear to be a protobuf message, expected prefix [{prefix}]")
    if body == _MAGIC:
        raise WireError("empty body")
    parts = _parts(body.removeprefix(_MAGIC), budget)
    names = _parts(_bytes(parts, 1), budget)
    return _Envelope(_text(_bytes(names, 1)), _text(_bytes(names, 2)), _bytes(parts, 2))


def _summary(body: bytes) -> str:
    """The beginning of a body that cannot be read, in hexadecimal."""
    if len(body) > _SUMMARY_LENGTH:
        return f"{body[:_SUMMARY_LENGTH].hex()} ..."
    return body.hex() or "<empty>"


def _read(record: Record, content: bytes, document: Document, budget: Budget, outer: tuple[int, ...] = ()) -> None:
    """Add to `document` the fields of a message; `outer` are the messages around it that JSON does not have."""
    for number, value in wire_fields(content, budget):
        place = (*outer, number)
        name = record.names.get(place)
        if name:
            _add(name, record.fields[name], value, document, budget)
        elif name is not None:
            _read(record, _delimited(name, value), document, budget, place)


def _add(name: str, field: Field, value: int | bytes, document: Document, budget: Budget) -> None:
    expected = field.type
    if isinstance(expected, ListOf):
        document.setdefault(name, []).extend(_items(name, expected.items, value, budget))
    elif isinstance(expected, MapOf):
        key, member = _entry(name, expected.values, _delimited(name, value), budget)
        document.setdefault(name, {})[key] = member
    elif isinstance(expected, Record):
        # A message that comes in pieces is all of them together.
        _read(expected, _delimited(name, value), document.setdefault(name, {}), budget)
    else:
        scalar = _scalar(name, expected, value, budget)
        if scalar is None or (scalar in ("", 0) and not (field.is_required or field.is_explicit)):
            document.pop(name, None)
        else:
            document[name] = scalar


def _items(name: str, expected: Type, value: int | bytes, budget: Budget) -> Iterator[object]:
    if isinstance(expected, Scalar) and expected.name in _NUMBERS and isinstance(value, bytes):
        yield from map(_NUMBERS[expected.name], varints(value, budget))
    else:
        yield _value(name, expected, value, budget)


def _entry(name: str, expected: Type, content: bytes, budget: Budget) -> tuple[str, object]:
    """One entry of a map: a message of a key, 1, and a value, 2."""
    key, member = "", _value(name, expected, b"", budget)
    for number, value in wire_fields(content, budget):
        if number == 1:
            key = _text(_delimited(name, value))
        elif number == 2:
            member = _value(name, expected, value, budget)
    return key, member


def _value(name: str, expected: Type, value: int | bytes, budget: Budget) -> object:
    if isinstance(expected, Scalar):
        return _scalar(name, expected, value, budget)
    assert isinstance(expected, Record)
    document: Document = {}
    _read(expected, _delimited(name, value), document, budget)
    return document


def _scalar(name: str, expected: Scalar, value: int | bytes, budget: Budget) -> object:
    if expected.name not in _NUMBERS:
        return _MESSAGES[expected.name](_delimited(name, value), budget)
    return _NUMBERS[expected.name](_varint(name, value))


def _varint(name: str, value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise WireError(f"proto: wrong wireType = 2 for field {name}")
    return value


def _delimited(name: str, value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise WireError(f"proto: wrong wireType = 0 for field {name}")
    return value


def _string(content: bytes, budget: Budget) -> str:
    return _text(content)


def _text(content: bytes) -> str:
    return content.decode(errors="replace")


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _time(content: bytes, budget: Budget) -> str | None:
    """`Timestamp` of meta/v1: seconds and nanoseconds. A time that was never set is empty."""
    return _moment(content, "seconds", budget) if content else None


def _micro_time(content: bytes, budget: Budget) -> str | None:
    return _moment(content, "microseconds", budget) if content else None


def _moment(content: bytes, precision: str, budget: Budget) -> str:
    parts = _parts(content, budget)
    seconds, nanoseconds = _int(parts, 1), _int(parts, 2)
    try:
        moment = _EPOCH + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)
    except OverflowError as error:
        raise WireError(f"a time of {seconds} seconds is out of range") from error
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def _quantity(content: bytes, budget: Budget) -> str:
    """`Quantity` of api/resource: a text."""
    return _text(_bytes(_parts(content, budget), 1)) or "0"


def _int_or_string(content: bytes, budget: Budget) -> int | str:
    """`IntOrString` of util/intstr: which of the two, then both."""
    parts = _parts(content, budget)
    return _text(_bytes(parts, 3)) if _int(parts, 1) else _int(parts, 2)


def _any(content: bytes, budget: Budget) -> object:
    """`FieldsV1` of meta/v1: JSON."""
    try:
        return json_value(_bytes(_parts(content, budget), 1)).value
    except TextError as error:
        raise WireError(f"json parse error: {error}") from error


def _parts(content: bytes, budget: Budget) -> dict[int, int | bytes]:
    """The fields of a small message; of those that come more than once the last."""
    return dict(wire_fields(content, budget))


def _bytes(parts: Mapping[int, int | bytes], number: int) -> bytes:
    return _delimited(str(number), parts.get(number, b""))


def _int(parts: Mapping[int, int | bytes], number: int) -> int:
    return _signed(_varint(str(number), parts.get(number, 0)))


_NUMBERS: Mapping[str, Callable[[int], int]] = MappingProxyType({"integer": _signed, "boolean": bool})
_MESSAGES: Mapping[str, Callable[[bytes, Budget], object]] = MappingProxyType(
    {
        "string": _string,
        "Time": _time,
        "MicroTime": _micro_time,
        "Quantity": _quantity,
        "IntOrString": _int_or_string,
        "any": _any,
    }
)
