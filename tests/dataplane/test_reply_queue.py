"""Replies that wait for the end of a batch: their order, their sockets, and what cannot be sent."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from proxy.dataplane.envelope import layout_of
from proxy.dataplane.message_vector import SLOT_SIZE, MessageVector, slots_of
from proxy.dataplane.reactor import Reactor
from proxy.dataplane.reply_queue import ReplyQueue

LAYOUT = layout_of(socket.AF_INET, wildcard=False)


class Place:
    """A bound socket, a client of it, and the envelope that leads there."""

    def __init__(self, stack: ExitStack) -> None:
        self.server = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.server.bind(("127.0.0.1", 0))
        self.client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.client.connect(self.server.getsockname())
        self.client.setblocking(False)
        self.client.send(b"")
        vector = MessageVector(slots_of(bytearray(SLOT_SIZE)), LAYOUT)
        vector.receive(self.server.fileno())
        self.envelope = bytes(vector.envelopes)

    def heard(self) -> list[bytes]:
        """What the client has got since the last look."""
        got = []
        while True:
            try:
                got.append(self.client.recv(100))
            except BlockingIOError:
                return got


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
async def reactor() -> AsyncIterator[Reactor]:
    reactor = Reactor()
    reactor.embed(asyncio.get_running_loop())
    yield reactor
    reactor.release()


def put(queue: ReplyQueue, place: Place, data: bytes) -> None:
    queue.free[: len(data)] = data
    queue.put(place.server.fileno(), place.envelope, len(data))


async def test_replies_leave_in_their_order_when_the_batch_ends(reactor: Reactor, stack: ExitStack) -> None:
    queue, place = ReplyQueue(reactor, LAYOUT), Place(stack)
    for data in (b"one", b"", b"three"):
        put(queue, place, data)
    assert place.heard() == []
    await asyncio.sleep(0)
    assert place.heard() == [b"one", b"", b"three"]


async def test_each_reply_leaves_through_its_own_socket(reactor: Reactor, stack: ExitStack) -> None:
    queue, one, other = ReplyQueue(reactor, LAYOUT), Place(stack), Place(stack)
    # A connected client hears nothing that comes from another port.
    for data in (b"1", b"2", b"3"):
        put(queue, one, data)
        put(queue, other, data * 2)
    queue.flush()
    assert (one.heard(), other.heard()) == ([b"1", b"2", b"3"], [b"11", b"22", b"33"])


async def test_a_full_queue_is_sent_before_the_batch_ends(reactor: Reactor, stack: ExitStack) -> None:
    queue, place = ReplyQueue(reactor, LAYOUT), Place(stack)
    sent = [b"%d" % number for number in range(100)]
    for data in sent:
        put(queue, place, data)
    early = place.heard()
    assert 0 < len(early) < 100
    await asyncio.sleep(0)
    assert early + place.heard() == sent


async def test_a_burst_is_read_behind_what_waits(reactor: Reactor, stack: ExitStack) -> None:
    queue, place, upstream = ReplyQueue(reactor, LAYOUT), Place(stack), Place(stack)
    put(queue, place, b"first")
    sent = [b"%d" % number for number in range(40)]
    for data in sent:
        upstream.server.sendto(data, upstream.client.getsockname())
    while sizes := queue.receive(upstream.client.fileno()):
        for size in sizes:
            queue.put(place.server.fileno(), place.envelope, size)
    queue.flush()
    assert place.heard() == [b"first", *sent]


async def test_a_reply_that_cannot_be_sent_holds_up_no_other(reactor: Reactor, stack: ExitStack) -> None:
    queue, place = ReplyQueue(reactor, LAYOUT), Place(stack)
    put(queue, place, b"one")
    # Nobody may send to the broadcast address without asking for it.
    queue.put(place.server.fileno(), place.envelope[:4] + b"\xff" * 4 + place.envelope[8:], 1)
    put(queue, place, b"three")
    queue.flush()
    assert place.heard() == [b"one", b"three"]


async def test_a_defect_leaves_the_queue_usable(reactor: Reactor, stack: ExitStack) -> None:
    queue, place = ReplyQueue(reactor, LAYOUT), Place(stack)
    put(queue, place, b"lost")
    queue.crashed()
    put(queue, place, b"sent")
    await asyncio.sleep(0)
    assert place.heard() == [b"sent"]
