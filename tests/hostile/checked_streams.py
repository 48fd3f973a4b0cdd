"""Streams through an echo backend, every byte of which is checked, however small the buffers and bad the network.

One thread drives them all. Invariant: bytes that are lost, changed or out of order, a stream that ends early or in a
reset, and one that comes to a stop fail the test that runs them.
"""

import random
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

STUCK_SECONDS = 40.0
"""Nothing moves on any stream for so long: it never will."""


class CheckedStream:
    """One connection that sends `size` bytes of its own in pieces and expects them back; `first` bytes of them go out
    with `begin`, before anything is read."""

    def __init__(self, address: str, port: int, size: int, seed: int, receive_buffer: int = 0) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(STUCK_SECONDS)
        self.socket.connect((address, port))
        self._random = random.Random(seed)
        self._data = memoryview(self._random.randbytes(size))
        self._sent = self.received = 0
        self._is_finished = False

    def begin(self, first: int) -> None:
        """Send the first bytes in one piece."""
        self.socket.sendall(self._data[:first])
        self._sent = first

    def turn(self, events: int) -> bool:
        """Send and receive a piece; gives whether the stream goes on."""
        if events & selectors.EVENT_WRITE:
            self._send()
        return not events & selectors.EVENT_READ or self._receive()

    @property
    def size(self) -> int:
        """Bytes that it sends, and expects back."""
        return len(self._data)

    @property
    def is_whole(self) -> bool:
        """Whether all of them came back."""
        return self.received == self.size

    @property
    def events(self) -> int:
        """What it waits for."""
        return selectors.EVENT_READ if self._is_finished else selectors.EVENT_READ | selectors.EVENT_WRITE

    def _send(self) -> None:
        piece = self._data[self._sent : self._sent + self._random.choice((1, 100, 1460, 9000, 70_000))]
        try:
            self._sent += self.socket.send(piece)
        except BlockingIOError:
            return
        if self._sent == len(self._data):
            self.socket.shutdown(socket.SHUT_WR)
            self._is_finished = True

    def _receive(self) -> bool:
        got = self.socket.recv(self._random.choice((1, 500, 8192, 262_144)))
        expected = self._data[self.received : self.received + len(got)]
        assert got == expected, f"other bytes than were sent, after {self.received} good ones of {self._sent} sent"
        self.received += len(got)
        if not got:
            assert self.received == len(self._data), f"ended after {self.received} of {len(self._data)} bytes"
        return bool(got)


def carry(streams: Sequence[CheckedStream]) -> int:
    """Carry these to their ends; gives the bytes that came back. Raises AssertionError, OSError."""
    for stream, reset in _ends(streams):
        if reset is not None:
            raise reset
        assert stream.is_whole
    return sum(stream.received for stream in streams)


def carry_or_reset(streams: Sequence[CheckedStream], at_half: Callable[[], None]) -> int:
    """Carry these while something happens `at_half` of their bytes; gives how many arrived whole. The others ended in a
    reset: one that ends early in any other way, or brings wrong bytes, raises AssertionError."""
    size = sum(stream.size for stream in streams)
    happened = False

    def look() -> None:
        nonlocal happened
        if not happened and 2 * sum(stream.received for stream in streams) >= size:
            happened = True
            at_half()

    return sum(reset is None for _, reset in _ends(streams, look))


def _ends(
    streams: Sequence[CheckedStream], look: Callable[[], None] = lambda: None
) -> Iterator[tuple[CheckedStream, ConnectionError | None]]:
    """Each stream when it is over, with its reset if it was one; `look` is called after each step."""
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            stream.socket.setblocking(False)
            selector.register(stream.socket, stream.events, stream)
        last = time.monotonic()
        while selector.get_map():
            for key, events in selector.select(1.0):
                stream, last = key.data, time.monotonic()
                reset: ConnectionError | None = None
                try:
                    goes_on = stream.turn(events)
                except ConnectionError as error:
                    goes_on, reset = False, error
                if not goes_on:
                    selector.unregister(stream.socket)
                    yield stream, reset
                elif key.events != stream.events:
                    selector.modify(stream.socket, stream.events, stream)
                look()
            assert time.monotonic() - last < STUCK_SECONDS, f"stuck: {[stream.received for stream in streams]}"


def checked_echo(address: str, port: int, streams: int = 8, size: int = 300_000, receive_buffer: int = 0) -> int:
    """So many streams of so many bytes at once, whole and in order; gives the bytes that came back."""
    with ExitStack() as stack:
        opened = [CheckedStream(address, port, size, seed, receive_buffer) for seed in range(streams)]
        for stream in opened:
            stack.enter_context(stream.socket)
        return carry(opened)
