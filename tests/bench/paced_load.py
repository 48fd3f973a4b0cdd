"""Paced load: requests at a given mean rate, whatever the answers do, and the latency of each.

Imports the standard library. Invariant: no coordinated omission. The arrival times are drawn before the run (Poisson,
seeded, the same for every subject); a request whose time comes while all connections are busy waits in a queue, and
every latency counts from the scheduled time, so a stall shows in each request that it delayed.
"""

import collections
import random
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

import msgspec
from load_wrk import LoadFailedError
from wait import REQUEST, Address, http_answer

SEED = 1
DRAIN_SECONDS = 2.0


class PacedResult(msgspec.Struct, frozen=True):
    """Latencies, and how late the generator itself was where a connection was free; seconds, sorted."""

    latencies: list[float]
    lags: list[float]


def arrivals(rate: float, seconds: float) -> list[float]:
    """Times of a Poisson process of `rate` a second within `seconds`, from 0."""
    draw = random.Random(SEED)
    times = []
    now = draw.expovariate(rate)
    while now < seconds:
        times.append(now)
        now += draw.expovariate(rate)
    return times


class PacedLoad:
    """A fixed set of kept-alive connections with one request in flight on each."""

    def __init__(self, connections: dict[int, socket.socket], answer_bytes: int) -> None:
        self.connections = connections
        self.answer_bytes = answer_bytes

    @classmethod
    @contextmanager
    def connected(cls, address: Address, connections: int) -> Iterator[Self]:
        clients: dict[int, socket.socket] = {}
        try:
            for _ in range(connections):
                client = socket.create_connection(address, timeout=DRAIN_SECONDS)
                clients[client.fileno()] = client
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield cls(clients, len(http_answer(address)))
        finally:
            for client in clients.values():
                client.close()

    def run(self, rate: float, seconds: float) -> PacedResult:
        """One run of the schedule. Raises LoadFailedError if an answer is missing DRAIN_SECONDS after its end."""
        with select.epoll() as poll:
            for descriptor in self.connections:
                poll.register(descriptor, select.EPOLLIN)
            return _Run(self, poll).follow(arrivals(rate, seconds))


class _Run:
    """The state of one run: which connections are free, what is due on the others, what waits for one."""

    def __init__(self, load: PacedLoad, poll: select.epoll) -> None:
        self.load = load
        self.poll = poll
        self.free = list(load.connections.values())
        self.due: dict[int, float] = {}
        self.missing: dict[int, int] = {}
        self.waiting: collections.deque[float] = collections.deque()
        self.result = PacedResult([], [])

    def follow(self, schedule: list[float]) -> PacedResult:
        start = time.perf_counter()
        for offset in schedule:
            due = start + offset
            # At least one look at the answers before each request, so that a late generator still frees connections.
            self._take_answers(due - time.perf_counter())
            while (remaining := due - time.perf_counter()) > 0:
                self._take_answers(remaining)
            self._arrive(due)
        deadline = time.perf_counter() + DRAIN_SECONDS
        while self.due:
            if time.perf_counter() > deadline:
                raise LoadFailedError(f"paced: {len(self.due) + len(self.waiting)} requests without an answer")
            self._take_answers(DRAIN_SECONDS)
        self.result.latencies.sort()
        self.result.lags.sort()
        return self.result

    def _arrive(self, due: float) -> None:
        if self.free:
            self.result.lags.append(time.perf_counter() - due)
            self._send(self.free.pop(), due)
        else:
            self.waiting.append(due)

    def _send(self, client: socket.socket, due: float) -> None:
        descriptor = client.fileno()
        self.due[descriptor] = due
        self.missing[descriptor] = self.load.answer_bytes
        client.send(REQUEST)

    def _take_answers(self, seconds: float) -> None:
        # select() waits in microseconds where epoll_wait() rounds up to a millisecond.
        if seconds > 0 and not select.select([self.poll], [], [], seconds)[0]:
            return
        for descriptor, _ in self.poll.poll(0):
            client = self.load.connections[descriptor]
            received = len(client.recv(65536))
            if not received:
                raise LoadFailedError("paced: a kept-alive connection was closed")
            self.missing[descriptor] -= received
            if not self.missing[descriptor]:
                self._answered(client, descriptor)

    def _answered(self, client: socket.socket, descriptor: int) -> None:
        self.result.latencies.append(time.perf_counter() - self.due.pop(descriptor))
        if self.waiting:
            self._send(client, self.waiting.popleft())
        else:
            self.free.append(client)
