"""Bulk load: downloads the big file over a few connections and throws the bytes away.

Imports the standard library. Invariant: every byte counted arrived in order on a connection that began with a 200;
MSG_TRUNC lets the kernel drop them without a copy (tcp(7)), so the receiver costs little beside the proxy.
"""

import select
import socket
import time

from load_wrk import LoadFailedError
from wait import Address

REQUEST = b"GET /big HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
READ_BYTES = 4 * 2**20
STALL_SECONDS = 5.0


class BulkLoad:
    """`connections` downloads at a time; a finished one is followed by the next on a new connection."""

    def __init__(self, address: Address, connections: int) -> None:
        self.address = address
        self.connections = connections
        self._buffer = bytearray(READ_BYTES)
        self._downloads: dict[int, socket.socket] = {}

    def run(self, seconds: float) -> int:
        """Download for `seconds` and return the bytes received. Raises LoadFailedError on a stall or a refusal."""
        total = 0
        deadline = time.perf_counter() + seconds
        with select.epoll() as poll:
            try:
                for _ in range(self.connections):
                    self._begin(poll)
                while time.perf_counter() < deadline:
                    total += self._receive(poll)
            finally:
                for download in self._downloads.values():
                    download.close()
                self._downloads.clear()
        return total

    def _receive(self, poll: select.epoll) -> int:
        ready = poll.poll(STALL_SECONDS)
        if not ready:
            raise LoadFailedError(f"bulk: nothing arrived from {self.address} for {STALL_SECONDS:.0f} s")
        total = 0
        for descriptor, _ in ready:
            received = self._downloads[descriptor].recv_into(self._buffer, READ_BYTES, socket.MSG_TRUNC)
            total += received
            if not received:
                self._downloads.pop(descriptor).close()
                self._begin(poll)
        return total

    def _begin(self, poll: select.epoll) -> None:
        download = socket.create_connection(self.address, timeout=STALL_SECONDS)
        self._downloads[download.fileno()] = download
        download.sendall(REQUEST)
        start = download.recv(16)
        if not start.startswith(b"HTTP/1.1 200"):
            raise LoadFailedError(f"bulk: {self.address} answered {start!r}")
        poll.register(download, select.EPOLLIN)
