"""Direction: one half of a relay, bytes from one socket to the other.

The hottest code of the proxy; functions here are as long as their measured path needs, and the file as long as one
class with its ways of moving bytes: a call into another module would be part of every message. What it does with an
event in each state is the table in `direction_state.py`. Invariants: bytes are held only while the other side will not
take them, and while any are held nothing more is read (that is the backpressure). After every return either the source
was read until it had nothing, or the target is waited for, or another turn was asked for (an edge-triggered event is
not repeated). No field is written from outside.
"""

import os
import select
import socket
from socket import SocketType
from typing import Any, Final

from proxy.dataplane.buffers import Buffers
from proxy.dataplane.direction_state import STEP_OF, DirectionEvent, DirectionState, Step
from proxy.dataplane.pipes import Pipe, Pipes
from proxy.dataplane.reactor import BUFFER_SIZE, FAILED, FINISHED, READABLE, URGENT, WRITABLE, Reactor

# Objects, so that a compiled module does not make a new one of the number with every call.
_DONTWAIT: Final[Any] = socket.MSG_DONTWAIT
_SEND: Final[Any] = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
_SEND_LAST: Final[Any] = _SEND | socket.MSG_MORE
_SPLICE: Final[Any] = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE

SMALL_READ: Final = 16 * 1024
"""So much is read at a time at first, and for good once the target was full: a slow reader costs no more than that."""
SCARCE_READ: Final = 2 * 1024
"""So much is read at a time while the worker holds all that it may: what all relays add by that stays small."""
SLOW: Final = 0.02
"""Seconds after which a target that is still full belongs to a slow reader, for which no pipe is filled."""
FULL_READS_BEFORE_SPLICE: Final = 4
"""How many full buffers in a row make a direction move to a pipe."""
READS_PER_TURN: Final = 8
"""After so many full buffers the other connections get their turn."""
SMALL_SPLICE: Final = 32 * 1024
"""A splice below this says that the bulk transfer is over."""

_UNTIL_EMPTY: Final = FINISHED | FAILED | URGENT
_UNUSUAL: Final = select.EPOLLERR | URGENT
_HOW_IT_ENDS: Final = FINISHED | select.EPOLLERR | URGENT

# A member of an enumeration is a slower constant.
_OPEN: Final = int(DirectionState.OPEN)
_HOLDING: Final = int(DirectionState.HOLDING)
_SPLICING: Final = int(DirectionState.SPLICING)
_PIPED: Final = int(DirectionState.PIPED)
_ENDED: Final = int(DirectionState.ENDED)
_STOPPED: Final = int(DirectionState.STOPPED)
_READABLE_STEPS: Final = STEP_OF[DirectionEvent.READABLE]
_ROOM_STEPS: Final = STEP_OF[DirectionEvent.ROOM]
_TURN_STEPS: Final = STEP_OF[DirectionEvent.TURN]
_READ: Final = int(Step.READ)
_SPLICE_MORE: Final = int(Step.SPLICE)
_SEND_HELD: Final = int(Step.SEND_HELD)
_EMPTY_PIPE: Final = int(Step.EMPTY_PIPE)
_LOOK: Final = int(Step.LOOK)


class DirectionOwner:
    """What a direction asks of the relay that it is a half of."""

    __slots__ = ()

    def opposite(self, direction: "Direction") -> "Direction | None":
        """The other half, as long as there are two."""
        raise NotImplementedError

    def half_closed(self, direction: "Direction") -> None:
        """The direction's source sent its FIN, and all before it is delivered."""
        raise NotImplementedError

    def failed(self, error: OSError, sock: SocketType) -> None:
        """An operation on this socket failed for good."""
        raise NotImplementedError

    def broken(self, sock: SocketType) -> None:
        """The socket reported an error while bytes wait."""
        raise NotImplementedError

    def crashed(self) -> None:
        """A defect: let go of everything."""
        raise NotImplementedError


class Direction:
    """Moves bytes from `source` to `target`. Its `ready` is the event handler of `source`.

    `carried` is bytes delivered, `used` when it last had an event (monotonic seconds).
    """

    __slots__ = (
        "_buffers",
        "_counted",
        "_full_since",
        "_held",
        "_in_pipe",
        "_is_slow",
        "_most",
        "_nagle",
        "_owner",
        "_pipe",
        "_pipes",
        "_queued",
        "_reactor",
        "_source",
        "_state",
        "_target",
        "_told_of_room",
        "_unusual",
        "_was_full",
        "carried",
        "used",
    )

    def __init__(
        self,
        owner: DirectionOwner,
        reactor: Reactor,
        pipes: Pipes,
        buffers: Buffers,
        source: SocketType,
        target: SocketType,
        nagle: bool,
    ) -> None:
        self._buffers = buffers
        self._counted = 0
        self._full_since = 0.0
        self._is_slow = False
        self._held = b""
        self._in_pipe = 0
        self._most = min(SMALL_READ, BUFFER_SIZE)
        # An accepted socket inherits TCP_NODELAY; on a dialled one it costs a system call, made with the second
        # send, since Nagle's algorithm never delays the first.
        self._nagle = nagle
        self._owner = owner
        self._pipe: Pipe | None = None
        self._pipes = pipes
        self._queued = False
        self._reactor = reactor
        self._source = source
        self._state = _OPEN
        self._target = target
        self._told_of_room = False
        # The events of `source` that leave the short path: those that tell of room matter only while the opposite
        # direction waits for it. Endpoints on other machines report room with every ACK.
        self._unusual = _UNUSUAL
        self._was_full = False
        self.carried = 0
        self.used = reactor.now

    @property
    def state(self) -> DirectionState:
        """Where it is in the table."""
        return DirectionState(self._state)

    @property
    def has_ended(self) -> bool:
        """Whether the source's FIN was passed on."""
        return self._state == _ENDED

    @property
    def target(self) -> SocketType:
        """Where the bytes go."""
        return self._target

    def begin(self, first: bytes, sent: int, told_of_room: bool) -> None:
        """Go on with bytes that the source said before there was a target. `sent` of them went out already; where none
        did, they are sent now. `told_of_room` is whether the target's events tell of room."""
        self._told_of_room = told_of_room
        if first and not sent:
            try:
                sent = self._target.send(first, _SEND)
            except OSError as error:
                sent = self._unsent(error)
                if sent < 0:
                    return
        self.carried = sent
        if sent < len(first):
            self._hold(first[sent:])
        elif not first:
            self._pump(0)
        elif len(first) == SMALL_READ:
            # There may be more; the source's first event would tell of it as well, a turn later.
            self._pump(FAILED)

    def ready(self, mask: int) -> None:
        """Events of `source`: it can be read, and the opposite direction may write to it."""
        reactor = self._reactor
        self.used = reactor.now
        if self._state or mask & self._unusual or self._buffers.is_full:
            self._ready_otherwise(mask)
            return
        # What a conversation's events nearly always are: a message that fits and is taken as a whole, the last one
        # with its FIN, or a FIN alone.
        most = self._most
        try:
            size = self._source.recv_into(reactor.buffer, most, _DONTWAIT)
        except OSError as error:
            self._unread(error)
            return
        if not size:
            self._end()
            return
        if self._nagle and self.carried:
            self._send_without_delay()
        last = mask & FINISHED and size < most
        try:
            sent = self._target.send(reactor.view[:size], _SEND_LAST if last else _SEND)
        except OSError as error:
            sent = self._unsent(error)
        if sent == size < most:
            self.carried += sent
            if last:
                self._end()
        elif self._delivered(sent, size):
            self._pump(mask)

    def crashed(self) -> None:
        """A defect: end the relay."""
        self._owner.crashed()

    def go_on(self) -> None:
        """The other connections had their turn; meanwhile anything may have happened."""
        self._queued = False
        step = _TURN_STEPS[self._state]
        if step == _READ:
            self._pump(FAILED)
        elif step == _SPLICE_MORE:
            self._splice()

    def expect_room(self, expected: bool) -> None:
        """Whether the opposite direction waits until this one's source takes bytes."""
        self._unusual = _UNUSUAL | WRITABLE if expected else _UNUSUAL

    def make_room(self) -> None:
        """The target takes bytes again: deliver what waits, then go on reading."""
        step = _ROOM_STEPS[self._state]
        if step == _SEND_HELD:
            self._send_held()
        elif step == _EMPTY_PIPE:
            self._empty_pipe()

    def stop(self) -> None:
        """The relay is over: let go of everything. Bytes that wait are lost, which a reset tells both sides."""
        # Nearly always nothing waits, and every connection ends twice here.
        if self._pipe is not None or self._counted:
            self._leave_pipe()
            self._held = b""
            self._count(0)
        self._state = _STOPPED

    def _ready_otherwise(self, mask: int) -> None:
        """Something waits, the worker holds all that it may, or the events tell of room, an error or urgent data."""
        if mask & WRITABLE:
            opposite = self._owner.opposite(self)
            if opposite is not None:
                opposite.make_room()
        if mask & READABLE:
            step = _READABLE_STEPS[self._state]
            if step == _READ:
                self._pump(mask)
            elif step == _SPLICE_MORE:
                self._splice()
            elif step == _LOOK and mask & FAILED:
                self._owner.broken(self._source)

    def _pump(self, mask: int) -> None:
        """Read and write until the source is empty, the target is full, or the turn is over.

        A short read means that the source is empty (epoll(7)) and spares the read that would say so; what comes after
        the event of `mask` is a new edge. Where the event told of a FIN, a short read has all that came before it: the
        last bytes wait for the FIN and leave in one segment with it. Urgent data makes reads short for its own reason.
        """
        source, target, reactor = self._source, self._target, self._reactor
        full = 0
        for _ in range(READS_PER_TURN):
            most = min(self._most, SCARCE_READ) if self._buffers.is_full else self._most
            try:
                size = source.recv_into(reactor.buffer, most, _DONTWAIT)
            except OSError as error:
                self._unread(error)
                return
            if not size:
                self._end()
                return
            if self._nagle and self.carried:
                self._send_without_delay()
            last = size < most and mask & _HOW_IT_ENDS == FINISHED
            try:
                sent = target.send(reactor.view[:size], _SEND_LAST if last else _SEND)
            except OSError as error:
                sent = self._unsent(error)
            if not self._delivered(sent, size):
                return
            if last:
                self._end()
                return
            if size < most:
                if not mask & _UNTIL_EMPTY:
                    return
            elif most < BUFFER_SIZE and not self._was_full:
                if not self._buffers.is_scarce:
                    self._most = min(BUFFER_SIZE, self._most * 4)
            else:
                full += 1
                if full >= FULL_READS_BEFORE_SPLICE and self._start_splicing():
                    return
        self._queue()

    def _send_held(self) -> None:
        """Send what is held; when nothing is left of it, go on reading."""
        held = self._held
        try:
            sent = self._target.send(held, _SEND)
        except OSError as error:
            sent = self._unsent(error)
        if sent < 0:
            return
        self.carried += sent
        self._held = held[sent:]
        self._count(len(held) - sent)
        if not self._held:
            self._have_room()
            self._pump(FAILED)

    def _hold(self, data: bytes) -> None:
        """The target is full: wait for room with these bytes in hand."""
        self._held = data
        self._count(len(data))
        self._most = min(SMALL_READ, BUFFER_SIZE)
        self._want_room(_HOLDING)

    def _want_room(self, state: int) -> None:
        """Wait until the target takes bytes: have its events tell of room, and the opposite direction pass that on."""
        self._state = state
        self._was_full = True
        self._full_since = self._reactor.now
        opposite = self._owner.opposite(self)
        if opposite is not None:
            opposite.expect_room(True)
        if not self._told_of_room:
            self._told_of_room = True
            self._reactor.widen(self._target.fileno())

    def _have_room(self) -> None:
        """Nothing waits any more."""
        if self._reactor.now - self._full_since > SLOW:
            self._is_slow = True
            self._leave_pipe()
        self._state = _OPEN if self._pipe is None else _SPLICING
        opposite = self._owner.opposite(self)
        if opposite is not None:
            opposite.expect_room(False)

    def _count(self, waiting: int) -> None:
        """So many bytes wait here now."""
        if waiting != self._counted:
            difference, self._counted = waiting - self._counted, waiting
            self._buffers.change(difference)

    def _send_without_delay(self) -> None:
        """A second message follows: Nagle's algorithm would make it wait for the first one's ACK."""
        self._nagle = False
        self._target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _unread(self, error: OSError) -> None:
        """A read failed: there is nothing, or the source is lost."""
        if not isinstance(error, BlockingIOError):
            self._owner.failed(error, self._source)

    def _unsent(self, error: OSError) -> int:
        """A send failed: the target is full and took 0 bytes, or it is lost (-1)."""
        if isinstance(error, BlockingIOError):
            return 0
        self._owner.failed(error, self._target)
        return -1

    def _delivered(self, sent: int, size: int) -> bool:
        """Of `size` bytes in the buffer so many went out: hold the others. Gives whether none is left."""
        if sent < 0:
            return False
        self.carried += sent
        if sent == size:
            return True
        self._hold(bytes(self._reactor.view[sent:size]))
        return False

    def _queue(self) -> None:
        """Ask for another turn, for one only: a source that is never empty has an event in every batch."""
        if not self._queued:
            self._queued = True
            self._reactor.again(self)

    def _end(self) -> None:
        """The source ended: pass its FIN on, or finish the relay if the other half ended before."""
        self._leave_pipe()
        self._state = _ENDED
        self._owner.half_closed(self)

    def _start_splicing(self) -> bool:
        if self._is_slow or self._buffers.is_scarce:
            return False
        self._pipe = self._pipes.lend()
        if self._pipe is None:
            return False
        self._state = _SPLICING
        # splice takes its patience from the descriptor, not from a flag of the call.
        self._source.setblocking(False)
        self._target.setblocking(False)
        self._splice()
        return True

    def _splice(self) -> None:
        """The same as `_pump`, with the bytes staying in the kernel. Measured hot path: between two calls
        that move a quarter of a megabyte each step of the interpreter takes several times what it takes in a loop."""
        pipe = self._pipe
        assert pipe is not None
        if self._buffers.is_full:
            self._leave_pipe()
            self._state = _OPEN
            self._queue()
            return
        splice, reader, writer = os.splice, pipe.reader, pipe.writer
        most = pipe.size
        source, target = self._source.fileno(), self._target.fileno()
        for _ in range(READS_PER_TURN):
            try:
                size = splice(source, writer, most, None, None, _SPLICE)
            except BlockingIOError:
                return
            except OSError as error:
                self._owner.failed(error, self._source)
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
            if moved < size and not self._drain_pipe(pipe):
                return
            if size < SMALL_SPLICE:
                self._leave_pipe()
                self._state = _OPEN
                break
        self._queue()

    def _empty_pipe(self) -> None:
        """Deliver what is in the pipe; when nothing is left, go on reading."""
        pipe = self._pipe
        assert pipe is not None
        if self._drain_pipe(pipe):
            self._count(0)
            self._have_room()
            if self._state == _SPLICING:
                self._splice()
            else:
                self._pump(FAILED)

    def _drain_pipe(self, pipe: Pipe) -> bool:
        """Move what is in the pipe; gives whether nothing is left. Else the target is full, or lost."""
        while self._in_pipe:
            try:
                moved = os.splice(pipe.reader, self._target.fileno(), self._in_pipe, None, None, _SPLICE)
            except OSError as error:
                if self._unsent(error) == 0:
                    self._count(self._in_pipe)
                    self._want_room(_PIPED)
                return False
            self._in_pipe -= moved
            self.carried += moved
        return True

    def _leave_pipe(self) -> None:
        """Give the pipe back, if there is one; bytes that are still in it are lost."""
        pipe = self._pipe
        if pipe is not None:
            self._pipe = None
            self._pipes.give_back(pipe, empty=not self._in_pipe)
            self._in_pipe = 0
