"""Takes messages with their sockets from the channel to the control process, one at a time.

Nothing is read ahead: the reader knows how many sockets the next message brings before it takes them, so the worker can
make room. Invariant: a message comes with all of its sockets, or `SocketsLost` is raised and none stays open.
"""

import os
import socket
from array import array
from typing import NamedTuple

from proxy.dataplane.wire import HEAD_SIZE, Head, head_of

_LONGEST_READ = 256 * 1024
_INTEGER = array("i").itemsize


class ChannelEnded(Exception):
    """The control process let go of the channel."""


class SocketsLost(Exception):
    """The kernel could not install all sockets of a message (MSG_CTRUNC): the process has too few descriptors."""


class Incoming(NamedTuple):
    """A message, and the descriptors that came with it, which belong to whoever takes it."""

    payload: bytes
    descriptors: list[int]


class MessageReader:
    """Reads from `sock`, a stream. On a blocking one its methods wait; otherwise they raise BlockingIOError."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._head: Head | None = None
        self._buffer = bytearray()
        self._descriptors: list[int] = []

    def sockets_ahead(self) -> int:
        """How many sockets the next message brings that are not taken yet. Raises BlockingIOError while no message is
        there, and ChannelEnded."""
        return self._next_head().sockets - len(self._descriptors)

    def take(self) -> Incoming:
        """The next message. Raises BlockingIOError while it is not complete, ChannelEnded and SocketsLost."""
        head = self._next_head()
        end = HEAD_SIZE + head.size
        while len(self._buffer) < end:
            self._read(end - len(self._buffer), head.sockets)
        if len(self._descriptors) != head.sockets:
            self._lose_sockets()
        incoming = Incoming(bytes(self._buffer[HEAD_SIZE:]), self._descriptors)
        self._head, self._buffer, self._descriptors = None, bytearray(), []
        return incoming

    def _next_head(self) -> Head:
        if self._head is None:
            data = self._socket.recv(HEAD_SIZE, socket.MSG_PEEK)
            if len(data) < HEAD_SIZE:
                raise ChannelEnded
            self._head = head_of(data)
        return self._head

    def _read(self, size: int, sockets: int) -> None:
        room = socket.CMSG_SPACE(sockets * _INTEGER) if sockets else 0
        data, ancillary, flags, _ = self._socket.recvmsg(min(size, _LONGEST_READ), room, socket.MSG_CMSG_CLOEXEC)
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._descriptors += array("i", content[: len(content) - len(content) % _INTEGER])
        if flags & socket.MSG_CTRUNC:
            self._lose_sockets()
        if not data:
            raise ChannelEnded
        self._buffer += data

    def _lose_sockets(self) -> None:
        wanted = self._head.sockets if self._head is not None else 0
        came = len(self._descriptors)
        while self._descriptors:
            os.close(self._descriptors.pop())
        raise SocketsLost(f"{came} of {wanted} sockets came")
