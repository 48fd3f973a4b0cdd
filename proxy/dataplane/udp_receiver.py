"""UdpReceiver: takes clients' datagrams from one socket, and finds the flow of each.

The socket is one frontend's own, or one that a program of type sk_lookup gives the datagrams of many
to; then the envelope says which was asked. Invariants: a datagram meets the frontend that it asked for, the one of its
address before the wildcard of its port, or nobody; a turn takes one call's worth, the rest has the next; where the
kernel cannot give what it has, it is asked again with the next tick and not at once.
"""

import errno
import socket
from collections.abc import Callable
from typing import Final, Protocol

from proxy.dataplane.balancer import Balancer
from proxy.dataplane.envelope import ENVELOPE_SIZE, EnvelopeLayout
from proxy.dataplane.reactor import LEVEL
from proxy.dataplane.resources import Resources
from proxy.dataplane.udp_flow import UdpFlow
from proxy.shared_counts.layout import PoolCell

# A member of an enumeration is a slower constant.
_RECEIVED_DATAGRAMS: Final = int(PoolCell.RECEIVED_DATAGRAMS)

MOST_PLACES: Final = 4_096
"""Addresses and ports whose frontends are remembered. A wildcard frontend has as many as the machine has addresses."""
_OF_REPLIES: Final = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EMSGSIZE)
"""ICMP's answers to what we have sent; the datagrams behind them are still there."""


class Recipient(Protocol):
    """A frontend whose datagrams come; `flows` are by the key of their envelopes."""

    flows: dict[bytes, UdpFlow]

    @property
    def balancer(self) -> Balancer: ...

    def new_flow(self, envelope: bytes, /) -> UdpFlow | None:
        """Begin a flow; None where the datagram is lost."""

    def not_sent(self, flow: UdpFlow, datagram: memoryview, error: OSError, /) -> None:
        """A datagram of the flow was not sent."""


class UdpReceiver:
    """The socket is bound and non-blocking when it comes, and is closed here. `find` gives the listener for an
    envelope, which is remembered for its place until `forget`."""

    __slots__ = ("_find", "_inbox", "_is_open", "_layout", "_listeners", "_resources", "_socket")

    def __init__(
        self,
        sock: socket.socket,
        layout: EnvelopeLayout,
        resources: Resources,
        find: Callable[[bytes], Recipient | None],
    ) -> None:
        self._socket = sock
        self._layout = layout
        self._resources = resources
        self._find = find
        self._inbox = resources.inbox(layout)
        self._listeners: dict[bytes, Recipient] = {}
        self._is_open = True
        resources.descriptors.listen("UDP")
        self._watch()

    def ready(self, mask: int) -> None:
        """Datagrams are waiting: take one call's worth, the rest has the next turn. Measured hot path."""
        inbox = self._inbox
        try:
            count = inbox.receive(self._socket.fileno())
        except OSError as error:
            self._receive_failed(error)
            return
        envelopes = bytes(inbox.envelopes)
        listeners, sizes, slots, now = self._listeners, inbox.sizes, inbox.slots, self._resources.reactor.now
        layout = self._layout
        start, end = layout.key_start, layout.key_end
        place_start, place_end = layout.place_start, layout.place_end
        before: Recipient | None = None
        counted = 0
        for index in range(count):
            offset = index * ENVELOPE_SIZE
            listener = listeners.get(envelopes[place_start + offset : place_end + offset])
            if listener is None:
                listener = self._listener_of(envelopes[offset : offset + ENVELOPE_SIZE])
                if listener is None:
                    continue
            if listener is not before:
                if before is not None:
                    _count(before, counted)
                before, counted = listener, 0
            counted += 1
            flow = listener.flows.get(envelopes[start + offset : end + offset])
            if flow is None:
                flow = listener.new_flow(envelopes[offset : offset + ENVELOPE_SIZE])
                if flow is None:
                    continue
            datagram = slots[index][: sizes[index]]
            try:
                flow.used = now
                flow.received += flow.send(datagram)
            except BlockingIOError:
                # A full queue loses datagrams, as a full queue anywhere on the way would.
                continue
            except OSError as error:
                listener.not_sent(flow, datagram, error)
        if before is not None:
            _count(before, counted)

    def crashed(self) -> None:
        """A defect costs the datagrams of that turn; the receiver goes on."""

    def forget(self) -> None:
        """What `find` answers may be something else from now on."""
        self._listeners.clear()

    def pause(self) -> None:
        """Take no more; answers may still leave from the socket."""
        self._is_open = False
        self._resources.reactor.unwatch(self._socket.fileno())

    def close(self) -> None:
        """Take no more, and let go of the socket."""
        self.pause()
        self._socket.close()
        self._resources.descriptors.stop_listening("UDP")

    def _listener_of(self, envelope: bytes) -> Recipient | None:
        listener = self._find(envelope)
        if listener is not None:
            if len(self._listeners) >= MOST_PLACES:
                self._listeners.clear()
            self._listeners[envelope[self._layout.place_start : self._layout.place_end]] = listener
        return listener

    def _receive_failed(self, error: OSError) -> None:
        if error.errno in _OF_REPLIES:
            return
        resources = self._resources
        resources.not_received.make(
            resources.reactor.now, f"receive failed on {self._socket.getsockname()}: {error}; it is tried again"
        )
        resources.reactor.unwatch(self._socket.fileno())
        resources.at_next_tick(self._watch)

    def _watch(self) -> None:
        if self._is_open:
            self._resources.reactor.watch(self._socket.fileno(), self, LEVEL)


def _count(listener: Recipient, datagrams: int) -> None:
    tally = listener.balancer.tally
    tally.counts[_RECEIVED_DATAGRAMS] += datagrams
    tally.touch()
