"""The worker's end of the channel to the control process.

What a message asks for is done in turns, and the flows have theirs in between, however much has come. Invariants:
messages are applied in the order in which they were sent, each to its end before the next begins. A message that fails
ends the worker, since nobody knows what it left behind; the control process starts another with everything there is.
When the control process is gone, so is the worker.
"""

import gc
import logging
import os
import socket
from collections.abc import Iterator
from time import monotonic

import msgspec

from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.message_reader import ChannelEnded, Incoming, MessageReader, SocketsLost
from proxy.dataplane.messages import (
    Acknowledge,
    AwaitEmpty,
    EndAll,
    Message,
    NewAccessLog,
    Ping,
    Reply,
    Request,
    StopAccepting,
    Update,
)
from proxy.dataplane.question import Question
from proxy.dataplane.reactor import EDGES_AND_ROOM, WRITABLE
from proxy.dataplane.wire import framed
from proxy.dataplane.worker import Worker
from proxy.plan.frontend import FrontendKey

_TURN = 0.0005
"""Seconds that a turn takes, and a step of it more: that is how long a client waits who comes as one begins."""

_log = logging.getLogger(__name__)


class ControlLink:
    """Watches the channel for a worker. `sock` is a non-blocking stream. `failed` says that a message failed."""

    def __init__(self, sock: socket.socket, worker: Worker) -> None:
        self.failed = False
        self._socket = sock
        self._reader = MessageReader(sock)
        self._worker = worker
        self._reactor = worker.resources.reactor
        self._decoder = msgspec.msgpack.Decoder(Message)
        self._encoder = msgspec.msgpack.Encoder()
        self._readable = True
        self._queued = False
        self._room = 0
        self._steps: Iterator[None] | None = None
        self._unsent = bytearray()

    def start(self) -> None:
        """Say that the worker is there, and listen to what it is told."""
        self._reactor.watch(self._socket.fileno(), self, EDGES_AND_ROOM)
        self._reply(0, os.getpid())
        self._queue()

    def ready(self, mask: int) -> None:
        """There is something to read, or room to write."""
        if mask & WRITABLE:
            self._flush()
        if mask & ~WRITABLE:
            self._readable = True
            self._queue()

    def go_on(self) -> None:
        """Take the next message, or go on with the one at hand, and come back for the rest."""
        self._queued = False
        if self.failed:
            return
        if self._steps is None:
            message = self._next()
            if message is None:
                return
            self._queue()
            self._take(*message)
        else:
            self._queue()
        if self._steps is not None:
            self._advance(self._steps)

    def crashed(self) -> None:
        """A message failed, which has been logged: the worker's state is unknown."""
        self._give_up()

    def _give_up(self) -> None:
        self.failed = True
        self._steps = None
        self._reactor.stop()

    def _advance(self, steps: Iterator[None]) -> None:
        ends = monotonic() + _TURN
        for _ in steps:
            if monotonic() >= ends:
                break
        else:
            self._steps = None
        _spare_what_stays()

    def _queue(self) -> None:
        if not self._queued:
            self._queued = True
            self._reactor.again(self)

    def _next(self) -> Incoming | None:
        if not self._readable:
            return None
        try:
            if not self._room and (room := self._worker.make_room(self._reader.sockets_ahead())):
                # What gave way is closed at the end of this batch.
                self._room = room
                self._queue()
                return None
            incoming = self._reader.take()
            self._worker.resources.descriptors.put_back(self._room)
            self._room = 0
            return incoming
        except BlockingIOError:
            self._readable = False
        except SocketsLost as error:
            _log.error(f"a message came without all of its sockets: {error}: raise the limit on open files (ulimit -n)")
            self._give_up()
        except (ChannelEnded, OSError):
            self._readable = False
            self._worker.end_all(CloseReason.SHUTDOWN)
            self._reactor.stop()
        return None

    def _take(self, payload: bytes, descriptors: list[int]) -> None:
        message = self._decoder.decode(payload)
        if isinstance(message, Update):
            came = zip(message.opened, descriptors, strict=True)
            self._steps = iter(self._worker.apply(message, {key: _socket(key, place) for key, place in came}))
        elif isinstance(message, NewAccessLog):
            self._worker.use_access_log(*descriptors)
        elif isinstance(message, Request):
            self._grant(message)

    def _grant(self, request: Request) -> None:
        worker, number = self._worker, request.number
        match request.wish:
            case Ping():
                self._reply(number, None)
            case Acknowledge():
                worker.flush()
                self._reply(number, None)
            case StopAccepting():
                self._steps = self._stop_accepting(number)
            case AwaitEmpty():
                worker.when_empty(lambda: self._reply(number, None))
            case EndAll(reason):
                self._reply(number, worker.open_relays)
                worker.end_all(CloseReason[reason])
                worker.flush()
            case question:
                self._steps = self._answer(number, question)

    def _answer(self, number: int, question: Question) -> Iterator[None]:
        """A question changes nothing, so one that fails costs its answer alone."""
        try:
            answer = yield from self._worker.answer(question)
        except Exception:
            _log.exception("a question failed")
            self._reply(number, None)
        else:
            self._reply(number, answer)

    def _stop_accepting(self, number: int) -> Iterator[None]:
        yield from self._worker.stop_accepting()
        self._reply(number, self._worker.open_relays)

    def _reply(self, number: int, answer: object) -> None:
        reply = Reply(number, msgspec.Raw(self._encoder.encode(answer)))
        self._unsent += framed(self._encoder.encode(reply))
        self._flush()

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:
                # The control process is gone; reading says so, too.
                self._unsent.clear()
                return
            del self._unsent[:sent]


def _spare_what_stays() -> None:
    """Set what was told up to here aside from garbage collection: a look through the pools of 10,000 Services holds
    every client up for 25 ms and more, and so does one through what a second of changes brought. What was set aside and
    goes is freed only if it is in no cycle: listeners, pools and flows must leave none."""
    gc.collect(0)
    gc.freeze()


def _socket(key: FrontendKey, descriptor: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in key.address else socket.AF_INET
    kind = socket.SOCK_STREAM if key.protocol == "TCP" else socket.SOCK_DGRAM
    sock = socket.socket(family, kind, 0, descriptor)
    # Non-blocking already: that belongs to the open file, which both ends share. Here it is for Python's own sake.
    sock.setblocking(False)
    return sock
