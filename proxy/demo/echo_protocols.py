"""The servers of the demo's echo pod: what comes in goes out again, over TCP and over UDP.

Invariant: a client that does not read stops being read from, so memory stays bounded.
"""

import asyncio
from collections.abc import Callable
from typing import cast


class EchoStreamProtocol(asyncio.Protocol):
    """One TCP connection; the client's end of stream ends it once everything is written."""

    _transport: asyncio.Transport

    def __init__(self, count: Callable[[], None]) -> None:
        self._count = count

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._count()
        # uvloop's transports are none of asyncio's classes, only alike.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()


class EchoDatagramProtocol(asyncio.DatagramProtocol):
    """Every datagram goes back to its sender."""

    _transport: asyncio.DatagramTransport

    def __init__(self, count: Callable[[], None]) -> None:
        self._count = count

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._count()
        self._transport.sendto(data, addr)
