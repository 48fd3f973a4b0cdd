"""ReplyQueue: answers on their way to clients, sent together at the end of a batch of events.

One call sends what all flows of a frontend got in a batch. Invariants: answers leave in the order in which they came;
none waits longer than the batch in which it came; none is sent through another socket than its listener's.
"""

import logging
from typing import Final

from proxy.dataplane.envelope import ENVELOPE_SIZE, EnvelopeLayout
from proxy.dataplane.message_vector import SLOT_SIZE, MessageVector, slots_of
from proxy.dataplane.reactor import Reactor

_CAPACITY: Final = 32

_log = logging.getLogger(__name__)


class ReplyQueue:
    """The answers of all listeners of one layout, one listener's at a time. Upstreams' datagrams are read into the slot
    `free` and then put."""

    __slots__ = (
        "_awaited",
        "_descriptor",
        "_end",
        "_first",
        "_incoming",
        "_outgoing",
        "_reactor",
        "free",
    )

    def __init__(self, reactor: Reactor, layout: EnvelopeLayout) -> None:
        slots = slots_of(bytearray(_CAPACITY * SLOT_SIZE))
        self._reactor = reactor
        self._incoming = MessageVector(slots, None)
        self._outgoing = MessageVector(slots, layout)
        self._descriptor = -1
        self._first = self._end = 0
        self._awaited = False
        self.free = slots[0]

    def put(self, descriptor: int, envelope: bytes, size: int) -> None:
        """Send the first `size` bytes of `free` in this envelope through this socket, soon."""
        if descriptor != self._descriptor:
            self.flush()
            self._descriptor = descriptor
        outgoing, end = self._outgoing, self._end
        outgoing.envelopes[end * ENVELOPE_SIZE : (end + 1) * ENVELOPE_SIZE] = envelope
        outgoing.room[end] = size
        self._end = end = end + 1
        if end == _CAPACITY:
            self.flush()
            self._first = self._end = end = 0
        elif not self._awaited:
            self._awaited = True
            self._reactor.again(self)
        self.free = outgoing.slots[end]

    def receive(self, upstream: int) -> memoryview:
        """Fill `free` and the slots behind it with what has arrived at an upstream's socket; gives the sizes of the
        datagrams, each of which is then to be put. Raises OSError."""
        first = self._end
        end = first + self._incoming.receive(upstream, first)
        return self._incoming.sizes[first:end]

    def flush(self) -> None:
        """Send everything now."""
        while self._first < self._end:
            try:
                sent = self._outgoing.send(self._descriptor, self._first, self._end)
            except OSError as error:
                _log.debug("a reply could not be sent: %s", error)
                sent = 0
            # A full queue loses a datagram, as a full queue anywhere on the way would.
            self._first += sent or 1

    def go_on(self) -> None:
        """The batch is over."""
        self.flush()
        self._awaited = False
        self._first = self._end = 0
        self.free = self._outgoing.slots[0]

    def crashed(self) -> None:
        """A defect costs what was to be sent."""
        self._awaited = False
        self._first = self._end = 0
        self.free = self._outgoing.slots[0]
