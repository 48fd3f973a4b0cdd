"""One question to one upstream server: over UDP, and over TCP if the response was cut off.

Imports nothing of ours; dnspython reads the responses. Invariant: only a response to this very question, from the
address it was sent to, ends the wait; the socket is closed however it ends.
"""

import asyncio

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message

from proxy.dns.settings import SocketAddress


class UpstreamError(Exception):
    """The server did not answer, or not so that it can be understood."""


async def ask(server: SocketAddress, query: dns.message.QueryMessage, patience: float) -> dns.message.Message:
    """The response. Raises UpstreamError, after `patience` seconds at the latest."""
    try:
        async with asyncio.timeout(patience):
            response = await _ask_by_datagram(server, query)
            if response.flags & dns.flags.TC:
                host, port = server
                response = await dns.asyncquery.tcp(query, host, patience, port)
            return response
    except (OSError, TimeoutError, EOFError, dns.exception.DNSException) as error:
        raise UpstreamError(f"{server[0]}:{server[1]}: {error or 'no answer'}") from error


async def _ask_by_datagram(server: SocketAddress, query: dns.message.QueryMessage) -> dns.message.Message:
    """A socket of its own for each question, so that its port is one more thing to guess."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[dns.message.Message] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Exchange(query, answered), remote_addr=server)
    try:
        transport.sendto(query.to_wire())
        return await answered
    finally:
        transport.close()


class _Exchange(asyncio.DatagramProtocol):
    """Waits for the response on a connected socket."""

    def __init__(self, query: dns.message.QueryMessage, answered: "asyncio.Future[dns.message.Message]") -> None:
        self._query = query
        self._answered = answered

    def datagram_received(self, data: bytes, address: object) -> None:
        try:
            message = dns.message.from_wire(data)
        except (dns.exception.DNSException, ValueError):
            return  # not from whom we asked; the true response may yet come
        if not self._answered.done() and self._query.is_response(message):
            self._answered.set_result(message)

    def error_received(self, error: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(error)
