"""One question to one upstream server: over UDP, and over TCP if the response was cut off or is doubtful.

Invariant: only a response to this very question, from the address it was sent to, ends the wait; the socket is closed
however it ends.
"""

import asyncio
import struct

from proxy.dns.incoming_message import MalformedMessageError
from proxy.dns.resolution import Resolution
from proxy.dns.settings import SocketAddress
from proxy.dns.upstream_message import UpstreamQuery, Verdict, judge, read_response

_LENGTH = struct.Struct("!H")


class UpstreamError(Exception):
    """The server did not answer, or not so that it can be understood."""


async def ask(server: SocketAddress, query: UpstreamQuery, patience: float) -> Resolution:
    """What the server says. Raises UpstreamError, after `patience` seconds at the latest."""
    try:
        async with asyncio.timeout(patience):
            response = await _ask_by_datagram(server, query)
            if response is None:
                response = await _ask_by_stream(server, query)
        return read_response(query, response)
    except (OSError, TimeoutError, EOFError, MalformedMessageError) as error:
        raise UpstreamError(f"{server[0]}:{server[1]}: {str(error) or 'no answer'}") from error


async def _ask_by_datagram(server: SocketAddress, query: UpstreamQuery) -> bytes | None:
    """The response, None where it has to be had over TCP. A socket of its own for each question, so that its port is
    one more thing to guess."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[bytes | None] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Exchange(query, answered), remote_addr=server)
    try:
        transport.sendto(query.data)
        return await answered
    finally:
        transport.close()


async def _ask_by_stream(server: SocketAddress, query: UpstreamQuery) -> bytes:
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(_LENGTH.pack(len(query.data)) + query.data)
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        response = await reader.readexactly(length)
    finally:
        writer.transport.abort()
    if judge(query, response) is Verdict.FOREIGN:
        raise MalformedMessageError("a response to another question")
    return response


class _Exchange(asyncio.DatagramProtocol):
    """Waits for the response on a connected socket."""

    def __init__(self, query: UpstreamQuery, answered: "asyncio.Future[bytes | None]") -> None:
        self._query = query
        self._answered = answered

    def datagram_received(self, data: bytes, address: object) -> None:
        verdict = judge(self._query, data)
        if verdict is not Verdict.FOREIGN and not self._answered.done():
            self._answered.set_result(data if verdict is Verdict.OURS else None)

    def error_received(self, error: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(error)
