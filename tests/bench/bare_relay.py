"""A TCP relay in Python that can do nothing else: round robin, and no limits, counts, retries or queues.

Imports the standard library. It makes the system calls of svcproxy's data plane in one loop, and so shows how far the
interpreter goes beside the peers; what svcproxy takes more is what its features cost. Invariant: it carries what the
benchmark's rows of TCP send; it is no proxy for anything else: what a slow side does not take at once is lost.

    python bare_relay.py ADDRESS:PORT BACKEND:PORT...
"""

import select
import socket
import sys
from itertools import cycle
from socket import SocketType

BUFFER_BYTES = 256 * 1024
FIRST_READ = 16 * 1024
MOST_ACCEPTS = 64
EVENTS = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
DIAL = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
NO_WAIT = socket.MSG_DONTWAIT
SEND = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
SEND_LAST = SEND | socket.MSG_MORE

Address = tuple[str, int]
Side = tuple[SocketType, SocketType, int]
"""A socket, the other side's, and its descriptor."""


class BareRelay:
    """Forwards from one listening socket to backends in turn, until a signal ends the process."""

    def __init__(self, listener: socket.socket, backends: list[Address]) -> None:
        self._listener = listener
        self._next_backend = cycle(backends).__next__
        self._poll = select.epoll()
        self._sides: dict[int, Side] = {}
        self._ended: set[int] = set()
        self._buffer = bytearray(BUFFER_BYTES)

    def run(self) -> None:
        front, poll, sides, carry = self._listener.fileno(), self._poll.poll, self._sides, self._carry
        self._poll.register(front, select.EPOLLIN)
        while True:
            for descriptor, mask in poll(-1, 256):
                if descriptor == front:
                    self._accept()
                elif descriptor in sides:
                    carry(descriptor, mask)

    def _accept(self) -> None:
        accept, register, sides = self._listener._accept, self._poll.register, self._sides  # type: ignore[attr-defined]
        for _ in range(MOST_ACCEPTS):
            try:
                accepted, _ = accept()
            except BlockingIOError:
                return
            client = SocketType(socket.AF_INET, socket.SOCK_STREAM, 0, accepted)
            try:
                first = client.recv(FIRST_READ, NO_WAIT)
            except BlockingIOError:
                first = b""
            backend = SocketType(socket.AF_INET, DIAL)
            backend.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            backend.connect_ex(self._next_backend())
            if first:
                backend.send(first, SEND)
            dialled = backend.fileno()
            sides[accepted] = (client, backend, dialled)
            sides[dialled] = (backend, client, accepted)
            register(dialled, EVENTS)
            register(accepted, EVENTS)

    def _carry(self, descriptor: int, mask: int) -> None:
        source, target, opposite = self._sides[descriptor]
        ends = mask & select.EPOLLRDHUP
        try:
            size = source.recv_into(self._buffer, 0, NO_WAIT)
            if size:
                target.send(memoryview(self._buffer)[:size], SEND_LAST if ends else SEND)
                if not ends:
                    return
            if opposite not in self._ended:
                self._ended.add(descriptor)
                target.shutdown(socket.SHUT_WR)
                return
        except BlockingIOError:
            return
        except OSError:
            # A reset: both sides go.
            pass
        del self._sides[descriptor], self._sides[opposite]
        self._ended -= {descriptor, opposite}
        source.close()
        target.close()


def main(listening: str, *backends: str) -> None:
    with socket.create_server(_address(listening), backlog=4096) as listener:
        listener.setblocking(False)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        BareRelay(listener, [_address(backend) for backend in backends]).run()


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    main(*sys.argv[1:])
