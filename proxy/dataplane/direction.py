"""Direction: one half of a relay, bytes from one socket to the other.

Imports this room. The hottest code of the proxy; functions here are as long as their measured path needs. Invariants:
bytes are held only while the other side will not take them, and while any are held nothing more is read (that is the
backpressure); after every return either the source was read until it had nothing, or the direction is held, or it is
queued to go on (an edge-triggered event is not repeated).
"""

import os
import select
import socket
from socket import SocketType
from typing import TYPE_CHECKING, Any, Final

from proxy.dataplane.pipes import Pipe
from proxy.dataplane.reactor import BUFFER_SIZE, FAILED, FINISHED, READABLE, URGENT, WRITABLE, Reactor

if TYPE_CHECKING:
    from proxy.dataplane.tcp_relay import TcpRelay

# Objects, so that a compiled module does not make a new one of the number with every call.
_DONTWAIT: Final[Any] = socket.MSG_DONTWAIT
_SEND: Final[Any] = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
_SEND_LAST: Final[Any] = _SEND | socket.MSG_MORE
_SPLICE: Final[Any] = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE

FULL_READS_BEFORE_SPLICE: Final = 4
"""How many full buffers in a row make a direction move to a pipe."""
READS_PER_TURN: Final = 8
"""After so many full buffers the other connections get their turn."""
SMALL_SPLICE: Final = 32 * 1024
"""A splice below this says that the bulk transfer is over."""

_UNTIL_EMPTY: Final = FINISHED | FAILED | URGENT
_UNUSUAL: Final = select.EPOLLERR | URGENT | WRITABLE
_HOW_IT_ENDS: Final = FINISHED | select.EPOLLERR | URGENT


class Direction:
    """Moves bytes from `source` to `target`. Its `ready` is the event handler of `source`.

    `carried` is bytes delivered; `held` what the target would not take yet; `pipe` what many bytes in a row go through;
    `ended` that the source sent its FIN.
    """

    __slots__ = (
        "_flowing",
        "_in_pipe",
        "_nagle",
        "_queued",
        "_reactor",
        "carried",
        "ended",
        "held",
        "pipe",
        "relay",
        "source",
        "target",
        "told_of_room",
    )

    def __init__(
        self, relay: "TcpRelay", reactor: Reactor, source: SocketType, target: SocketType, nagle: bool
    ) -> None:
        self._reactor = reactor
        self.pipe: Pipe | None = None
        self._in_pipe = 0
        # An accepted socket inherits TCP_NODELAY; on a dialled one it costs a system call, made with the second
        # send, since Nagle's algorithm never delays the first.
        self._nagle = nagle
        # Nothing is in the way of the short path; the long one is right at any time.
        self._flowing = True
        self._queued = False
        self.carried = 0
        self.ended = False
        self.held: bytes | None = None
        self.relay = relay
        self.source = source
        self.target = target
        self.told_of_room = False

    def ready(self, mask: int) -> None:
        """Events of `source`: it can be read, and the opposite direction may write to it."""
        reactor = self._reactor
        self.relay.used = reactor.now
        if not self._flowing or mask & _UNUSUAL:
            self._ready_otherwise(mask)
            return
        # What a conversation's events nearly always are: a message that fits and is taken as a whole, the last one
        # with its FIN, or a FIN alone.
        try:
            size = self.source.recv_into(reactor.buffer, 0, _DONTWAIT)
        except OSError as error:
            self._unread(error)
            return
        if not size:
            self._end()
            return
        if self._nagle and self.carried:
            self._send_without_delay()
        last = mask & FINISHED and size < BUFFER_SIZE
        try:
            sent = self.target.send(reactor.view[:size], _SEND_LAST if last else _SEND)
        except OSError as error:
            sent = self._unsent(error)
        if sent == size < BUFFER_SIZE:
            self.carried += sent
            if last:
                self._end()
        elif self._delivered(sent, size):
            self.pump(mask)

    def crashed(self) -> None:
        """A defect: end the relay."""
        self.relay.crashed()

    def pump(self, mask: int = FAILED) -> None:
        """Read and write until the source is empty, the target is full, or the turn is over.

        A short read means that the source is empty (epoll(7)) and spares the read that would say so; what comes after
        the event of `mask` is a new edge. Where the event told of a FIN, a short read has all that came before it: the
        last bytes wait for the FIN and leave in one segment with it. Urgent data makes reads short for its own reason.
        """
        if self.ended or self.relay.over:
            return
        if self.pipe is not None:
            self._pump_pipe(self.pipe)
            return
        source, target, reactor = self.source, self.target, self._reactor
        for reads in range(1, READS_PER_TURN + 1):
            try:
                size = source.recv_into(reactor.buffer, 0, _DONTWAIT)
            except OSError as error:
                self._unread(error)
                return
            if not size:
                self._end()
                return
            if self._nagle and self.carried:
                self._send_without_delay()
            last = size < BUFFER_SIZE and mask & _HOW_IT_ENDS == FINISHED
            try:
                sent = target.send(reactor.view[:size], _SEND_LAST if last else _SEND)
            except OSError as error:
                sent = self._unsent(error)
            if not self._delivered(sent, size):
                return
            if last:
                self._end()
                return
            if size < BUFFER_SIZE:
                if not mask & _UNTIL_EMPTY:
                    self._flowing = True
                    return
            elif reads >= FULL_READS_BEFORE_SPLICE and self._start_splicing():
                return
        self._queue()

    def go_on(self) -> None:
        """The other connections had their turn; what happened meanwhile may have left bytes that come first."""
        self._queued = False
        if self.held is None and not self._in_pipe:
            self.pump()

    def resume(self) -> None:
        """The target has room again: deliver what is held, then go on reading."""
        if self.held is not None and not self.deliver():
            return
        if self._in_pipe and self.pipe is not None and not self._empty_pipe(self.pipe):
            return
        self.pump()

    def deliver(self) -> bool:
        """Send what is held; gives whether nothing is left of it."""
        held = self.held
        assert held is not None
        try:
            sent = self.target.send(held, _SEND)
        except BlockingIOError:
            return False
        except OSError as error:
            self.relay.failed(error, self.target)
            return False
        self.carried += sent
        self.held = held[sent:] if sent < len(held) else None
        return self.held is None

    def _ready_otherwise(self, mask: int) -> None:
        """Bytes are held or spliced, or the events tell of room, of an error or of urgent data."""
        if mask & WRITABLE:
            opposite = self.relay.opposite(self)
            if opposite is not None and (opposite.held is not None or opposite._in_pipe):
                opposite.resume()
                if self.relay.over:
                    return
        if mask & READABLE:
            if self.held is None and not self._in_pipe and not self.ended:
                self.pump(mask)
            elif mask & FAILED:
                self.relay.broken(self.source)

    def _send_without_delay(self) -> None:
        """A second message follows: Nagle's algorithm would make it wait for the first one's ACK."""
        self._nagle = False
        self.target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _unread(self, error: OSError) -> None:
        """A read failed: there is nothing, or the source is lost."""
        if not isinstance(error, BlockingIOError):
            self.relay.failed(error, self.source)

    def _unsent(self, error: OSError) -> int:
        """A send failed: the target is full and took 0 bytes, or it is lost (-1)."""
        if isinstance(error, BlockingIOError):
            return 0
        self.relay.failed(error, self.target)
        return -1

    def _delivered(self, sent: int, size: int) -> bool:
        """Of `size` bytes in the buffer so many went out: hold the others. Gives whether none is left."""
        if sent < 0:
            return False
        self.carried += sent
        if sent == size:
            return True
        self.held = bytes(self._reactor.view[sent:size])
        self._flowing = False
        self._await_room()
        return False

    def _await_room(self) -> None:
        """The target is full: have its events tell of room."""
        if not self.told_of_room:
            self.told_of_room = True
            self._reactor.widen(self.target.fileno())

    def _queue(self) -> None:
        """Ask for another turn, for one only: a source that is never empty has an event in every batch."""
        if not self._queued:
            self._queued = True
            self._reactor.again(self)

    def _end(self) -> None:
        """The source ended: pass its FIN on, or finish the relay if the other half ended before."""
        self.ended = True
        self._flowing = False
        if self.pipe is not None:
            self.leave_pipe()
        self.relay.half_closed(self)

    def _start_splicing(self) -> bool:
        self.pipe = self.relay.listener.resources.pipes.lend()
        if self.pipe is None:
            return False
        self._flowing = False
        # splice takes its patience from the descriptor, not from a flag of the call.
        self.source.setblocking(False)
        self.target.setblocking(False)
        self._pump_pipe(self.pipe)
        return True

    def _pump_pipe(self, pipe: Pipe) -> None:
        """The same as `pump`, with the bytes staying in the kernel. Measured hot path: between two calls
        that move a quarter of a megabyte each step of the interpreter takes several times what it takes in a loop."""
        splice, reader, writer, most = os.splice, pipe.reader, pipe.writer, pipe.size
        source, target = self.source.fileno(), self.target.fileno()
        for _ in range(READS_PER_TURN):
            try:
                size = splice(source, writer, most, None, None, _SPLICE)
            except BlockingIOError:
                return
            except OSError as error:
                self.relay.failed(error, self.source)
                return
            if not size:
                self._end()
                return
            # Told before it is tried: a pipe that still holds bytes when the relay ends must not be lent again.
            self._in_pipe = size
            try:
                moved = splice(reader, target, size, None, None, _SPLICE)
            except OSError as error:
                moved = self._unsent(error)
                if moved < 0:
                    return
            self.carried += moved
            self._in_pipe = size - moved
            if moved < size and not self._empty_pipe(pipe):
                return
            if size < SMALL_SPLICE:
                self.leave_pipe()
                break
        self._queue()

    def _empty_pipe(self, pipe: Pipe) -> bool:
        """Deliver what is in the pipe; gives whether nothing is left."""
        while self._in_pipe:
            try:
                moved = os.splice(pipe.reader, self.target.fileno(), self._in_pipe, None, None, _SPLICE)
            except OSError as error:
                if self._unsent(error) == 0:
                    self._await_room()
                return False
            self._in_pipe -= moved
            self.carried += moved
        return True

    def leave_pipe(self) -> None:
        """Give the pipe back, if there is one; bytes that are still in it are lost."""
        if self.pipe is not None:
            self.relay.listener.resources.pipes.give_back(self.pipe, empty=not self._in_pipe)
            self.pipe = None
            self._in_pipe = 0
