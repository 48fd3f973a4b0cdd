"""The control process's end of the channel to one worker process.

Invariant: nothing here waits for the worker. What the channel does not take at once is queued, in order, and what a
worker never answers is answered with None when it is gone.
"""

import asyncio
import errno
import socket
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Protocol

import msgspec

from proxy.dataplane.messages import Ping, Reply, Request, Wish
from proxy.dataplane.wire import FrameReader, framed

_CHUNK = 256 * 1024
_PAUSE = 0.01
"""Seconds to wait where the kernel has too many descriptors under way (ETOOMANYREFS)."""
_TURN = 0.005
"""Seconds that messages are made for before the loop has its turn."""


class Open(Protocol):
    """Something with a descriptor."""

    def fileno(self) -> int: ...


Answered = Callable[[bytes | None], None]
Message = tuple[bytes, Sequence[Open]]
"""Encoded, and the descriptors that go with it."""
_Queued = tuple[memoryview, Sequence[Open]] | Callable[[], None] | Iterator[Message]


class WorkerChannel:
    """Owns `sock`, a stream. `ready` is set by the worker's first word, or by its end; `gone` by its end alone.

    `backlog` is how many bytes wait for room in the channel. `signs` counts the worker's signs of life: each of its
    answers, and each time that it read from a full channel."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._socket = sock
        self._queue: deque[_Queued] = deque()
        self._waiting: dict[int, Answered] = {}
        self._frames = FrameReader()
        self._last = 0
        self._retry: asyncio.TimerHandle | None = None
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Reply)
        self._pinged = False
        self._answer_due = False
        self._full = False
        self.ready = asyncio.Event()
        self.gone = asyncio.Event()
        self.backlog = 0
        self.signs = 0
        self._loop.add_reader(sock.fileno(), self._read)

    @property
    def ended(self) -> bool:
        """Whether nothing reaches the worker any more."""
        return self.gone.is_set()

    @property
    def is_owed_a_sign(self) -> bool:
        """Whether a worker that lives gives a sign soon: it has a ping to answer, or a full channel to read from. While
        this side has yet to send, the worker owes nothing."""
        return self._answer_due or self._full

    def ping(self) -> None:
        """Ask for a sign of life, unless one is asked for already."""
        if self._pinged:
            return
        self._pinged = True

        def sent() -> None:
            self._answer_due = self._pinged

        def answered(_: bytes | None) -> None:
            self._pinged = self._answer_due = False

        self.ask(Ping(), answered)
        self.after_sent(sent)

    def send(self, payload: bytes, sockets: Sequence[Open] = ()) -> None:
        """Deliver an encoded message, with duplicates of the descriptors."""
        data = memoryview(framed(payload, len(sockets)))
        self.backlog += len(data)
        self._put((data, sockets))

    def send_in_turn(self, messages: Iterator[Message]) -> None:
        """Deliver many, each of them made when all before it have left; whatever is sent later comes after them."""
        self._put(messages)

    def after_sent(self, callback: Callable[[], None]) -> None:
        """Call back when all that was sent until now has left, or never will."""
        self._put(callback)

    def ask(self, wish: Wish, answered: Answered) -> None:
        """Deliver a request; `answered` gets the encoded answer, or None if the worker goes first."""
        self._last += 1
        self._waiting[self._last] = answered
        self.send(self._encoder.encode(Request(self._last, wish)))
        if self.ended:
            self._forget()

    def close(self) -> None:
        """Let go of the channel, which ends the worker at the other end."""
        if self.ended:
            return
        self.gone.set()
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        if self._retry is not None:
            self._retry.cancel()
        self._socket.close()
        self.ready.set()
        self._forget()

    def _put(self, item: _Queued) -> None:
        self._queue.append(item)
        if self.ended:
            self._forget()
        elif self._retry is None and not (len(self._queue) > 1 and isinstance(self._queue[0], Iterator)):
            # Also where something waits already: the worker may have read by now, and goes on while the next is made.
            self._write()

    def _write(self) -> None:
        self._retry = None
        turn_ends, made = monotonic() + _TURN, 0
        while self._queue:
            item = self._queue[0]
            if callable(item):
                self._queue.popleft()
                item()
                continue
            if isinstance(item, Iterator):
                if made and monotonic() >= turn_ends:
                    self._loop.add_writer(self._socket.fileno(), self._write)
                    return
                made += 1
                self._make_next(item)
                continue
            data, sockets = item
            try:
                sent = self._socket.sendmsg([data], _rights(sockets))
            except OSError as error:
                self._not_sent(error)
                return
            self.backlog -= sent
            if self._full:
                self._full = False
                self.signs += 1
            if sent < len(data):
                self._queue[0] = (data[sent:], ())
            else:
                self._queue.popleft()
        self._loop.remove_writer(self._socket.fileno())

    def _make_next(self, messages: Iterator[Message]) -> None:
        """Put the next of the messages before those that are to come, which are the first in the queue."""
        message = next(messages, None)
        if message is None:
            self._queue.popleft()
            return
        payload, sockets = message
        data = memoryview(framed(payload, len(sockets)))
        self.backlog += len(data)
        self._queue.appendleft((data, sockets))

    def _not_sent(self, error: OSError) -> None:
        if isinstance(error, BlockingIOError):
            self._full = True
            self._loop.add_writer(self._socket.fileno(), self._write)
            return
        self._loop.remove_writer(self._socket.fileno())
        if error.errno == errno.ETOOMANYREFS:
            self._full = True
            self._retry = self._loop.call_later(_PAUSE, self._write)
        # Anything else says that the worker is gone, which reading learns, too.

    def _read(self) -> None:
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self.signs += 1
        self._frames.feed(data)
        while (message := self._frames.next()) is not None:
            reply = self._decoder.decode(message)
            answered = self._waiting.pop(reply.number, None)
            if answered is not None:
                answered(bytes(reply.answer))
            elif not reply.number:
                self.ready.set()

    def _forget(self) -> None:
        """The worker is gone: whoever waits for it waits no longer."""
        self.backlog = 0
        while self._queue:
            item = self._queue.popleft()
            if callable(item):
                item()
        while self._waiting:
            _, answered = self._waiting.popitem()
            answered(None)


def _rights(sockets: Sequence[Open]) -> list[tuple[int, int, "array[int]"]]:
    if not sockets:
        return []
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [sock.fileno() for sock in sockets]))]
