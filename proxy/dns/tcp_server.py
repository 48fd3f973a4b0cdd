"""DNS over TCP (RFC 7766): messages after their lengths, many on a connection, answered in any order.

Invariant: the number of connections, the answers under way on each and the time for which it may be idle or not read
are bounded; nothing that a client sends is an error of ours; every task ends with `close`.
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable

from proxy.dns.responder import Responder, Unfinished
from proxy.dns.settings import backlog_of
from proxy.dns.tcp_connections import TCPConnections
from proxy.dns.unusual import LONGEST_QUESTION

IDLE = 10.0
"""Seconds without a question, or without the client taking its answers, after which a connection is closed."""
_MOST_UNFINISHED = 16

_LENGTH = struct.Struct("!H")

_log = logging.getLogger(__name__)


class TCPServer:
    """Serves one listening socket, which it owns. `finish` gives the answer that needs upstream; `connections` are
    those of all servers."""

    def __init__(
        self,
        sock: socket.socket,
        responder: Responder,
        finish: Callable[[Unfinished], Awaitable[bytes]],
        connections: TCPConnections,
    ) -> None:
        self._socket = sock
        self._responder = responder
        self._finish = finish
        self._connections = connections
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._accepted, sock=self._socket, limit=LONGEST_QUESTION, backlog=backlog_of(self._connections.most)
        )

    async def close(self) -> None:
        """Stop, and cut every connection."""
        if self._server is None:
            self._socket.close()
            return
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: asyncio logs a traceback where one that it made for a client is cancelled.
        self._connections.add(writer)
        task = asyncio.create_task(self._serve(reader, writer), name="DNS over TCP")
        self._tasks.add(task)
        task.add_done_callback(self._served)

    def _served(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a DNS client was not served", exc_info=error)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        unfinished: set[asyncio.Task[None]] = set()
        try:
            await self._converse(reader, writer, unfinished)
        except asyncio.IncompleteReadError as error:
            if unfinished and not error.partial:
                await asyncio.wait(unfinished, timeout=IDLE)  # it asks no more, and may still listen
        except (OSError, TimeoutError):
            return  # the client is gone, or as good as gone
        finally:
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)
            self._connections.remove(writer)
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, unfinished: set[asyncio.Task[None]]
    ) -> None:
        """Read questions until the client ends, is idle, or sends what gets no answer."""
        while True:
            async with asyncio.timeout(IDLE):
                (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                data = await reader.readexactly(length)
            self._connections.used(writer)
            response = self._responder.respond(data)
            if response is None:
                return
            if isinstance(response, Unfinished):
                while len(unfinished) >= _MOST_UNFINISHED:
                    await asyncio.wait(unfinished, return_when=asyncio.FIRST_COMPLETED)
                task = asyncio.create_task(self._send_later(writer, response), name="DNS answer over TCP")
                unfinished.add(task)
                task.add_done_callback(unfinished.discard)
            else:
                writer.write(_LENGTH.pack(len(response)) + response)
            async with asyncio.timeout(IDLE):
                await writer.drain()
            # What is buffered already would be read without a turn of the loop: others are waiting as well.
            await asyncio.sleep(0)

    async def _send_later(self, writer: asyncio.StreamWriter, unfinished: Unfinished) -> None:
        response = await self._finish(unfinished)
        if writer.is_closing():
            return  # the client is gone, which asyncio would log
        writer.write(_LENGTH.pack(len(response)) + response)
