"""How messages are cut out of a stream: a length, the number of sockets that come with it, the message.

Imports nothing of ours; no socket is touched here. Invariant: descriptors arrive in the order in which they were sent
and not later than the first byte of their message, so a message that is complete has all of its own.
"""

from collections import deque
from collections.abc import Iterable
from struct import Struct

_HEAD = Struct("<IH")
MOST_DESCRIPTORS = 250
"""SCM_MAX_FD of include/net/scm.h is 253."""


def framed(payload: bytes, descriptors: int = 0) -> bytes:
    """A message as it is sent, in one piece with its head."""
    return _HEAD.pack(len(payload), descriptors) + payload


class FrameReader:
    """Gathers what arrives and gives it back message by message."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._descriptors: deque[int] = deque()

    def feed(self, data: bytes, descriptors: Iterable[int] = ()) -> None:
        """What was received, and the descriptors that came with it."""
        self._buffer += data
        self._descriptors += descriptors

    def next(self) -> tuple[bytes, list[int]] | None:
        """The next complete message and its descriptors, which are the caller's; None where there is none yet."""
        if len(self._buffer) < _HEAD.size:
            return None
        size, count = _HEAD.unpack_from(self._buffer)
        end = _HEAD.size + size
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[_HEAD.size : end])
        del self._buffer[:end]
        return payload, [self._descriptors.popleft() for _ in range(count)]
