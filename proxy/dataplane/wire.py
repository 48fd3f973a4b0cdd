"""How messages lie in a stream: a length, the number of sockets that come with the message, the message.

No socket is touched here. Sockets travel as SCM_RIGHTS beside the first byte of their message.
"""

from struct import Struct
from typing import NamedTuple

_HEAD = Struct("<IH")
HEAD_SIZE = _HEAD.size
"""Bytes before each message. The kernel never cuts so short a piece in two."""


class Head(NamedTuple):
    """What precedes a message: its length in bytes, and how many sockets it brings."""

    size: int
    sockets: int


def framed(payload: bytes, sockets: int = 0) -> bytes:
    """A message as it is sent, in one piece with its head."""
    return _HEAD.pack(len(payload), sockets) + payload


def head_of(data: bytes | bytearray) -> Head:
    """The head that `data` begins with."""
    return Head(*_HEAD.unpack_from(data))


class FrameReader:
    """Gathers what arrives without sockets, and gives it back message by message."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what was received."""
        self._buffer += data

    def next(self) -> bytes | None:
        """The next complete message; None where there is none yet."""
        if len(self._buffer) < HEAD_SIZE:
            return None
        end = HEAD_SIZE + head_of(self._buffer).size
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[HEAD_SIZE:end])
        del self._buffer[:end]
        return payload
