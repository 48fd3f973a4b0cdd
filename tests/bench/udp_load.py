"""UDP load: a fixed number of flows, each with one request in flight.

Imports the standard library. Invariant: a request counts when its own bytes came back; a lost one is sent again after
RETRY_SECONDS and counted as lost, so that a drop costs rate and never hangs the run.
"""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import msgspec
from load_wrk import LoadFailedError
from wait import Address

RETRY_SECONDS = 0.2
PAYLOAD_BYTES = 64


class UdpResult(msgspec.Struct, frozen=True):
    """Requests answered and requests lost in `seconds`."""

    requests: int
    lost: int
    seconds: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


class Flow:
    """One client socket and when its request left."""

    __slots__ = ("payload", "sent", "socket")

    def __init__(self, client: socket.socket, number: int) -> None:
        self.socket = client
        self.payload = number.to_bytes(4, "big").ljust(PAYLOAD_BYTES, b".")
        self.sent = 0.0

    def request(self, now: float) -> None:
        self.sent = now
        self.socket.send(self.payload)

    def take_answer(self) -> None:
        answer = self.socket.recv(2 * PAYLOAD_BYTES)
        if answer != self.payload:
            raise LoadFailedError(f"udp: sent {self.payload!r}, received {answer!r}")


class UdpLoad:
    """Holds its flows open between runs, as clients of a busy service do."""

    def __init__(self, flows: dict[int, Flow]) -> None:
        self.flows = flows

    @classmethod
    @contextmanager
    def connected(cls, address: Address, flows: int) -> Iterator[Self]:
        clients: dict[int, Flow] = {}
        try:
            for number in range(flows):
                client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
                clients[client.fileno()] = Flow(client, number)
                client.connect(address)
            yield cls(clients)
        finally:
            for flow in clients.values():
                flow.socket.close()

    def run(self, seconds: float) -> UdpResult:
        """Keep every flow busy for `seconds`, then take the last answers in. Raises LoadFailedError on a wrong one."""
        requests = lost = 0
        started = now = time.perf_counter()
        next_check = started + RETRY_SECONDS
        with select.epoll() as poll:
            for descriptor, flow in self.flows.items():
                poll.register(descriptor, select.EPOLLIN)
                flow.request(now)
            while now < started + seconds:
                for descriptor, _ in poll.poll(RETRY_SECONDS):
                    flow = self.flows[descriptor]
                    flow.take_answer()
                    requests += 1
                    flow.request(now)
                now = time.perf_counter()
                if now >= next_check:
                    lost += self._retry(now)
                    next_check = now + RETRY_SECONDS
            requests += self._finish(poll)
        return UdpResult(requests, lost, time.perf_counter() - started)

    def _retry(self, now: float) -> int:
        silent = [flow for flow in self.flows.values() if now - flow.sent > RETRY_SECONDS]
        for flow in silent:
            flow.request(now)
        return len(silent)

    def _finish(self, poll: select.epoll) -> int:
        answered = 0
        while ready := poll.poll(RETRY_SECONDS / 4):
            for descriptor, _ in ready:
                self.flows[descriptor].take_answer()
                answered += 1
        return answered
