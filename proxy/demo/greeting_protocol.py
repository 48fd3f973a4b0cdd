"""The server of the demo's redis pod: it speaks first, as many TCP services do, and answers PING.

Invariant: a line is answered once, in order; a line is never kept beyond its longest size.
"""

import asyncio
from collections.abc import Callable
from typing import cast

_LONGEST_LINE = 1024


class GreetingProtocol(asyncio.Protocol):
    """One connection. Lines end in LF or CRLF; PING and QUIT are known in either case of letters."""

    def __init__(self, name: str, count: Callable[[], None]) -> None:
        self._name = name
        self._count = count
        self._pending = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes, only alike.
        self._transport = cast("asyncio.Transport", transport)
        self._count()
        self._transport.write(f"+OK redis-demo ready, this is {self._name}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            self._answer(line.strip().upper())
        if len(self._pending) > _LONGEST_LINE:
            self._close(b"-ERR line too long\r\n")

    def _answer(self, command: bytes) -> None:
        if command == b"QUIT":
            self._close(b"+OK\r\n")
        elif command and self._transport is not None:
            self._transport.write(b"+PONG\r\n" if command == b"PING" else b"-ERR unknown command\r\n")

    def _close(self, last_words: bytes) -> None:
        if self._transport is not None:
            self._transport.write(last_words)
            self._transport.close()
            self._transport = None
