"""What holds for every relay of a worker: keep-alive, half-closed connections, bytes held for slow readers.

Invariant: immutable; it travels in the first message to a worker.
"""

import socket
from socket import SocketType

import msgspec

BUFFER_BYTES = 64 * 1024 * 1024


class KeepAlive(msgspec.Struct, frozen=True, array_like=True):
    """TCP keep-alive: how the kernel finds out that a peer's machine has gone without a word (RFC 1122, 4.2.3.6).

    After `idle` seconds of silence the peer is asked every `interval` seconds; `count` questions without an answer end
    the connection. TCP_USER_TIMEOUT is not used: it would also cut a reader that is slow but there, whose closed window
    the kernel probes (net/ipv4/tcp_timer.c, tcp_probe_timer).
    """

    idle: float = 120.0
    interval: float = 15.0
    count: int = 4

    def set_on(self, sock: SocketType) -> None:
        """Ask for it on a socket; what a listening one accepts inherits it."""
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, int(self.idle))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, int(self.interval))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, self.count)


class RelayLimits(msgspec.Struct, frozen=True, array_like=True):
    """`keep_alive` is None where it is off. A connection of which one side has finished may be silent for
    `half_closed_timeout` seconds, 0 for ever. `buffer_bytes` are what the worker may hold for slow readers."""

    keep_alive: KeepAlive | None = KeepAlive()
    half_closed_timeout: float = 3600.0
    buffer_bytes: int = BUFFER_BYTES
