"""Protocol buffers, as much of their wire format as a message of texts and of other messages needs.

Imports nothing of ours. Invariant: pure; every field is length-delimited (https://protobuf.dev/programming-guides/encoding).
"""

_LENGTH_DELIMITED = 2


def text(number: int, value: str) -> bytes:
    """The string field `number`; an empty one is the default and takes no bytes."""
    return _field(number, value.encode()) if value else b""


def texts(number: int, values: list[str]) -> bytes:
    """A repeated string field."""
    return b"".join(_field(number, value.encode()) for value in values)


def message(number: int, *fields: bytes) -> bytes:
    """The field `number` whose value is a message of these fields; present even if it is empty."""
    return _field(number, b"".join(fields))


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
