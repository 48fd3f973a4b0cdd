"""Protocol buffers, as much of their wire format as is needed here: texts, messages and integers
(https://protobuf.dev/programming-guides/encoding).

Invariant: pure; reading takes time in proportion to the length, each field costs a unit of a Budget before it is looked
at, and nothing but WireError comes of bytes that are no message.
"""

from collections.abc import Iterator

_VARINT, _FIXED64, _LENGTH_DELIMITED, _START_GROUP, _END_GROUP, _FIXED32 = range(6)
_LARGEST_NUMBER = 2**29 - 1


class WireError(ValueError):
    """Bytes that are no message, in the words of the API server."""


class TooManyFieldsError(Exception):
    """A message, with all messages in it, has more fields than its reader's budget allows."""


class Budget:
    """How many fields may still be read."""

    def __init__(self, fields: int) -> None:
        self._left = fields

    def take(self) -> None:
        """Count one field. Raises TooManyFieldsError."""
        if self._left == 0:
            raise TooManyFieldsError
        self._left -= 1


def text(number: int, value: str) -> bytes:
    """The string field `number`; an empty one is the default and takes no bytes."""
    return _field(number, value.encode()) if value else b""


def texts(number: int, values: list[str]) -> bytes:
    """A repeated string field."""
    return b"".join(_field(number, value.encode()) for value in values)


def message(number: int, *fields: bytes) -> bytes:
    """The field `number` whose value is a message of these fields; present even if it is empty."""
    return _field(number, b"".join(fields))


def number_field(number: int, value: int) -> bytes:
    """The integer field `number`, present even if it is 0; negative values take 64 bits."""
    return _varint(number << 3 | _VARINT) + _varint(value & 0xFFFF_FFFF_FFFF_FFFF)


def wire_fields(content: bytes, budget: Budget) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a message, in their order: an unsigned integer for a varint, bytes for what is
    length-delimited. Numbers of fixed width and groups, which no field here is, are skipped. Raises WireError and
    TooManyFieldsError."""
    position, depth = 0, 0
    while position < len(content):
        budget.take()
        tag, position = _varint_at(content, position)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number <= _LARGEST_NUMBER:
            raise WireError(f"proto: illegal tag {number} (wire type {wire_type})")
        if wire_type in (_START_GROUP, _END_GROUP):
            depth += 1 if wire_type == _START_GROUP else -1
            if depth < 0:
                raise WireError("proto: unexpected end of group")
            continue
        value, position = _value_at(content, position, wire_type)
        if depth == 0 and wire_type in (_VARINT, _LENGTH_DELIMITED):
            yield number, value
    if depth:
        raise WireError("unexpected EOF")


def varints(content: bytes, budget: Budget) -> Iterator[int]:
    """Unsigned integers one after the other, as a packed field has them. Raises WireError and TooManyFieldsError."""
    position = 0
    while position < len(content):
        budget.take()
        value, position = _varint_at(content, position)
        yield value


def _value_at(content: bytes, position: int, wire_type: int) -> tuple[int | bytes, int]:
    """The value that begins at `position`, and where it ends."""
    if wire_type == _VARINT:
        return _varint_at(content, position)
    if wire_type == _LENGTH_DELIMITED:
        length, position = _varint_at(content, position)
    elif wire_type in (_FIXED64, _FIXED32):
        length = 8 if wire_type == _FIXED64 else 4
    else:
        raise WireError(f"proto: illegal wireType {wire_type}")
    if length > len(content) - position:
        raise WireError("unexpected EOF")
    return content[position : position + length], position + length


def _varint_at(content: bytes, position: int) -> tuple[int, int]:
    if position < len(content) and content[position] < 0x80:
        # Nearly all of them have one byte.
        return content[position], position + 1
    value = 0
    for shift in range(0, 64, 7):
        if position == len(content):
            raise WireError("unexpected EOF")
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
    raise WireError("proto: integer overflow")


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
