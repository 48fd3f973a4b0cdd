"""MessageVector: many datagrams received or sent by one system call, recvmmsg(2) and sendmmsg(2).

The socket module has neither call. Reached by ctypes, one such call costs no more than `recvmsg_into` does, whose time
goes into the objects that it returns; here the answer lies in memory that is set up once, and no object is made for an
address. Invariant: a vector keeps alive all memory that the kernel is told of.
"""

import ctypes
import errno
import os
from collections.abc import Sequence

from proxy.dataplane.envelope import ENVELOPE_SIZE, EnvelopeLayout

SLOT_SIZE = 65_536
"""Bytes of room for a datagram, of which the longest has 65,527."""


class _Part(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint32),
        ("parts", ctypes.c_void_p),
        ("part_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """struct mmsghdr; `size` is how many bytes were received."""

    _fields_ = (("header", _Header), ("size", ctypes.c_uint))


# PyDLL keeps the interpreter's lock: the calls do not block, and letting go of it costs more than it could bring.
_libc = ctypes.PyDLL(None, use_errno=True)
_recvmmsg = _libc.recvmmsg
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
_sendmmsg = _libc.sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)


class MessageVector:
    """A message for each of `slots`, in their order. `sizes` is what came into each; `room` how much of its slot counts
    (for receiving, all of it); `envelopes` their envelopes one behind the other, unless there is no layout."""

    __slots__ = ("_address", "_kept", "count", "envelopes", "room", "sizes", "slots")

    def __init__(self, slots: Sequence[memoryview], layout: EnvelopeLayout | None) -> None:
        self.count = len(slots)
        self.slots = slots
        self.envelopes = bytearray(self.count * ENVELOPE_SIZE)
        messages = bytearray(self.count * ctypes.sizeof(_Message))
        parts = bytearray(self.count * ctypes.sizeof(_Part))
        self._address = _address(messages)
        self._kept = (messages, parts)
        # Every other word of the parts is a size.
        self.room = memoryview(parts).cast("L")[1::2]
        words = ctypes.sizeof(_Message) // ctypes.sizeof(ctypes.c_uint)
        self.sizes = memoryview(messages).cast("I")[_Message.size.offset // ctypes.sizeof(ctypes.c_uint) :: words]
        self._point(messages, parts, layout)

    def receive(self, descriptor: int, first: int = 0) -> int:
        """Take what has arrived into the slots from `first` on, and say how many are filled; 0 where nothing was there.
        Raises OSError."""
        received: int = _recvmmsg(descriptor, self._address + first * _MESSAGE_SIZE, self.count - first, 0, None)
        if received < 0:
            return _nothing()
        return received

    def send(self, descriptor: int, first: int, end: int) -> int:
        """Send the messages from `first` until before `end`, and say how many were taken; 0 where the socket's queue is
        full. Raises OSError where the first of them cannot be sent."""
        sent: int = _sendmmsg(descriptor, self._address + first * _MESSAGE_SIZE, end - first, 0)
        if sent < 0:
            return _nothing()
        return sent

    def _point(self, messages: bytearray, parts: bytearray, layout: EnvelopeLayout | None) -> None:
        """Tell each message where its slot and its envelope are."""
        headers = (_Message * self.count).from_buffer(messages)
        pointers = (_Part * self.count).from_buffer(parts)
        for index, slot in enumerate(self.slots):
            pointers[index].base = _address(slot)
            pointers[index].size = len(slot)
            header = headers[index].header
            header.parts = _address(parts) + index * ctypes.sizeof(_Part)
            header.part_count = 1
            if layout is not None:
                envelope = _address(self.envelopes) + index * ENVELOPE_SIZE
                header.name, header.name_size = envelope + layout.name, layout.name_size
                header.control, header.control_size = envelope + layout.control, layout.control_size


def slots_of(buffer: bytearray) -> list[memoryview]:
    """The slots that a buffer has room for."""
    view = memoryview(buffer)
    return [view[start : start + SLOT_SIZE] for start in range(0, len(buffer), SLOT_SIZE)]


_MESSAGE_SIZE = ctypes.sizeof(_Message)


def _address(buffer: bytearray | memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def _nothing() -> int:
    """0 for a call that would have had to wait. Raises OSError for any other error of the last call."""
    number = ctypes.get_errno()
    if number in (errno.EAGAIN, errno.EINTR):
        return 0
    raise OSError(number, os.strerror(number))
