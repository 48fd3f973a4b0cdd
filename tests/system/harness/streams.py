"""Many connections to an echo backend on which bytes flow without a pause, each byte that comes back checked.

One thread drives them all. Invariant: a byte that is lost, changed or out of order, and a connection that ends early,
are told by the next call of anything here.
"""

import random
import selectors
import socket
import threading
from contextlib import suppress
from typing import Self

from tests.system.harness.clients import Conversation
from tests.system.harness.eventually import eventually

_PERIOD = 65521
"""A prime, so that no buffer of a power of two can be repeated or skipped unseen."""
_AHEAD = 8192
_STUCK_SECONDS = 30.0


class _Stream:
    """One connection: how many bytes went out and how many came back, which are those of a pattern of its own."""

    def __init__(self, conversation: Conversation, number: int) -> None:
        period = random.Random(number).randbytes(_PERIOD)
        self._pattern = memoryview(period + period)
        self.socket = conversation.socket
        self.sent = self.received = 0

    def send(self) -> None:
        """Fill up what is on its way, which is little enough to be taken at once."""
        start = self.sent % _PERIOD
        self.sent += self.socket.send(self._pattern[start : start + _AHEAD - (self.sent - self.received)])

    def receive(self) -> bool:
        """Take and check what has come; False at the end of the stream."""
        data = self.socket.recv(65536)
        start = self.received % _PERIOD
        if data != self._pattern[start : start + len(data)]:
            raise AssertionError(f"other bytes than were sent, after {self.received} good ones")
        self.received += len(data)
        return bool(data)


class Streams:
    """Streams of `number` connections, from the end of the constructor until `finish`."""

    def __init__(self, address: str, port: int, number: int) -> None:
        self._streams = [_Stream(Conversation(address, port), seed) for seed in range(number)]
        self._selector = selectors.DefaultSelector()
        self._failure: BaseException | None = None
        self._finishing = threading.Event()
        for stream in self._streams:
            stream.socket.setblocking(False)
            self._selector.register(stream.socket, selectors.EVENT_READ, stream)
        self._thread = threading.Thread(target=self._drive, name="streams", daemon=True)
        self._thread.start()

    def require_progress(self) -> None:
        """Until every connection has brought back more than it had when this was called."""
        marks = [stream.received for stream in self._streams]

        def all_went_on() -> bool:
            self._raise_failure()
            return all(stream.received > mark for stream, mark in zip(self._streams, marks, strict=True))

        eventually(all_went_on, "bytes on every connection")

    def finish(self) -> int:
        """End our sides, wait for the ends of the others'; how many bytes came back, which are all that were sent."""
        self._finishing.set()
        self._thread.join(2 * _STUCK_SECONDS)
        self._raise_failure()
        assert not self._thread.is_alive()
        return sum(stream.received for stream in self._streams)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._finishing.set()
        for stream in self._streams:
            with suppress(OSError):  # the other side may have gone
                stream.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for stream in self._streams:
            stream.socket.close()
        self._selector.close()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _drive(self) -> None:
        try:
            for stream in self._streams:
                stream.send()
            while not self._finishing.is_set():
                self._turn(sending=True)
            self._end_our_sides()
            while self._selector.get_map():
                self._turn(sending=False)
        except (AssertionError, OSError, ValueError, KeyError) as failure:
            self._failure = failure

    def _turn(self, sending: bool) -> None:
        ready = self._selector.select(_STUCK_SECONDS)
        assert ready, f"nothing came for {_STUCK_SECONDS} s"
        for key, _ in ready:
            stream: _Stream = key.data
            if not stream.receive():
                assert not sending, f"ended early, after {stream.received} bytes"
                assert stream.received == stream.sent
                self._selector.unregister(stream.socket)
            elif sending:
                stream.send()

    def _end_our_sides(self) -> None:
        for stream in self._streams:
            stream.socket.shutdown(socket.SHUT_WR)
