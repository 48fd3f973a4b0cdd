"""DNS over TCP (RFC 7766): messages after their lengths, many on a connection, answered in any order.

Invariant: the number of connections, the answers under way on each and the time for which it may be idle or not read
are bounded; an address that opens too many makes room among its own; nothing that a client sends is an error of ours.
"""

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from proxy.dns.responder import Responder, Unfinished
from proxy.dns.unusual import LONGEST_QUESTION

MOST_CONNECTIONS = 128
IDLE = 10.0
"""Seconds without a question, or without the client taking its answers, after which a connection is closed."""
_MOST_UNFINISHED = 16

_LENGTH = struct.Struct("!H")


class _Connection(NamedTuple):
    host: str
    task: asyncio.Task[None] | None


class TCPServer:
    """Serves one listening socket, which it owns. `finish` gives the answer that needs upstream."""

    def __init__(
        self, sock: socket.socket, responder: Responder, finish: Callable[[Unfinished], Awaitable[bytes]]
    ) -> None:
        self._socket = sock
        self._responder = responder
        self._finish = finish
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.StreamWriter, _Connection] = {}
        """The one that has been idle for the longest comes first."""

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accepted, sock=self._socket, limit=LONGEST_QUESTION)

    async def close(self) -> None:
        """Stop, and cut every connection."""
        if self._server is None:
            self._socket.close()
            return
        self._server.close()
        tasks = [each.task for each in self._connections.values() if each.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections[writer] = _Connection(_host(writer), asyncio.current_task())
        if len(self._connections) > MOST_CONNECTIONS:
            self._make_room()
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
            del self._connections[writer]
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()

    def _make_room(self) -> None:
        """End what has been idle for the longest, of the address that has the most connections."""
        still_open = [(writer, each.host) for writer, each in self._connections.items() if not writer.is_closing()]
        if len(still_open) > MOST_CONNECTIONS:
            ((crowd, _),) = Counter(host for _, host in still_open).most_common(1)
            next(writer for writer, host in still_open if host == crowd).transport.abort()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, unfinished: set[asyncio.Task[None]]
    ) -> None:
        """Read questions until the client ends, is idle, or sends what gets no answer."""
        while True:
            async with asyncio.timeout(IDLE):
                (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                data = await reader.readexactly(length)
            self._connections[writer] = self._connections.pop(writer)
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


def _host(writer: asyncio.StreamWriter) -> str:
    """The client's address; none of a connection that has ended already."""
    name = writer.get_extra_info("peername")
    return str(name[0]) if name else ""
