"""A netlink socket to the kernel's netfilter: sends batches, reads dumps, hears of changes.

Invariant: netlink processes a batch within `send`, so all its answers are there when `send` returns, and nothing waits.
"""

import socket
import struct
from collections.abc import Iterator
from os import strerror

from proxy.nftables.messages import DUMP, SUBSYSTEM, message

_NETFILTER = 12  # NETLINK_NETFILTER
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 32, 33
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_CHANGES = 7  # NFNLGRP_NFTABLES
_ERROR, _DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_RECEIVE = 1 << 18
_SEND_BUFFER = 1 << 29
_RECEIVE_BUFFER = 1 << 24


class RefusedError(OSError):
    """The kernel refused what was asked; nothing of it was done."""

    def __init__(self, number: int) -> None:
        super().__init__(number, strerror(number))


class NetfilterSocket:
    """`listening` is for notifications of what others change. Raises OSError where there is no netfilter."""

    def __init__(self, *, listening: bool = False) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETFILTER)
        self._socket.bind((0, 0))
        self._socket.setblocking(False)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BUFFER)
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        except PermissionError:
            self.close()
            raise
        if listening:
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _CHANGES)

    @property
    def port(self) -> int:
        """By which notifications name who made a change."""
        return int(self._socket.getsockname()[0])

    def run(self, batch: bytes) -> None:
        """Let a batch take force. Raises RefusedError with the first reason."""
        self._socket.send(batch)
        for kind, _, body in self._received():
            if kind == _ERROR and (number := struct.unpack_from("=i", body)[0]):
                self._discard()
                raise RefusedError(-number)

    def dump(self, kind: int, family: int, body: bytes, subsystem: int = SUBSYSTEM) -> Iterator[bytes]:
        """Everything of a kind, each without its headers. Raises RefusedError."""
        self._discard()
        self._socket.send(message(subsystem | kind, DUMP, family, body))
        while True:
            for found, _, content in self._received():
                if found == _DONE:
                    return
                if found == _ERROR:
                    raise RefusedError(-struct.unpack_from("=i", content)[0])
                yield content[4:]

    def changes(self) -> Iterator[tuple[int, int, bytes]]:
        """What was heard since the last call: kind, who made it (a `port`), and attributes. Raises OSError (ENOBUFS)
        where more happened than there was room for."""
        for kind, port, content in self._received():
            yield kind, port, content[4:]

    def close(self) -> None:
        self._socket.close()

    def _received(self) -> Iterator[tuple[int, int, bytes]]:
        while True:
            try:
                data = self._socket.recv(_RECEIVE)
            except BlockingIOError:
                return
            offset = 0
            while offset < len(data):
                length, kind, _, _, port = _HEADER.unpack_from(data, offset)
                yield kind, port, data[offset + _HEADER.size : offset + length]
                offset += length + (-length % 4)

    def _discard(self) -> None:
        for _ in self._received():
            pass
