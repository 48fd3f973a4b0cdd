"""The reactor: batches, closing at their end, another turn, and defects that stay with their owner."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from socket import SocketType

import pytest

from proxy.dataplane.reactor import EDGES, LEVEL, READABLE, Reactor

Handler = Callable[[int], None]


class Handled:
    """A handler made of functions."""

    def __init__(self, ready: Handler, go_on: Callable[[], None] = lambda: None) -> None:
        self.ready = ready
        self.go_on = go_on
        self.crashes = 0

    def crashed(self) -> None:
        self.crashes += 1


@pytest.fixture
async def reactor() -> AsyncIterator[Reactor]:
    made = Reactor(asyncio.get_running_loop())
    yield made
    made.stop()


@pytest.fixture
async def pair() -> AsyncIterator[Callable[[], tuple[SocketType, socket.socket]]]:
    """Makes pairs: the first is for the reactor, which may close it, the second for the test."""
    with contextlib.ExitStack() as stack:

        def make() -> tuple[SocketType, socket.socket]:
            near, far = socket.socketpair()
            stack.enter_context(far)
            mine = SocketType(near.family, near.type, near.proto, near.detach())
            stack.callback(mine.close)
            return mine, far

        yield make


Pair = Callable[[], tuple[SocketType, socket.socket]]


async def test_an_edge_is_told_once(reactor: Reactor, pair: Pair) -> None:
    near, far = pair()
    masks: list[int] = []
    told = asyncio.Event()

    def ready(mask: int) -> None:
        masks.append(mask)
        if mask & READABLE:
            told.set()

    reactor.watch(near.fileno(), Handled(ready), EDGES)
    far.send(b"x")
    await asyncio.wait_for(told.wait(), 5)
    count = len(masks)
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(masks) == count


async def test_a_level_is_told_until_it_is_gone(reactor: Reactor, pair: Pair) -> None:
    near, far = pair()
    done = asyncio.Event()
    received = b""

    def ready(mask: int) -> None:
        nonlocal received
        received += near.recv(1)
        if received == b"abc":
            done.set()

    reactor.watch(near.fileno(), Handled(ready), LEVEL)
    far.send(b"abc")
    await asyncio.wait_for(done.wait(), 5)


async def test_what_is_not_watched_any_more_hears_nothing(reactor: Reactor, pair: Pair) -> None:
    near, far = pair()
    heard: list[int] = []
    reactor.watch(near.fileno(), Handled(heard.append), LEVEL)
    reactor.unwatch(near.fileno())
    reactor.unwatch(near.fileno())
    far.send(b"x")
    for _ in range(5):
        await asyncio.sleep(0)
    assert heard == []


async def test_a_descriptor_number_never_comes_back_within_its_batch(reactor: Reactor, pair: Pair) -> None:
    pairs = [pair() for _ in range(4)]
    numbers = [near.fileno() for near, _ in pairs]
    opened: list[int] = []
    done = asyncio.Event()

    def ready(mask: int) -> None:
        """The first of the batch closes everything and opens new sockets at once."""
        for near, _ in pairs:
            reactor.close(near)
        for _ in pairs:
            near, _ = pair()
            opened.append(near.fileno())
        done.set()

    for near, far in pairs:
        reactor.watch(near.fileno(), Handled(ready), LEVEL)
        far.send(b"x")
    await asyncio.wait_for(done.wait(), 5)
    assert len(opened) == 4
    assert not set(opened) & set(numbers)
    await asyncio.sleep(0)
    assert all(near.fileno() == -1 for near, _ in pairs[:4])


async def test_a_socket_closed_outside_a_batch_is_closed_soon(reactor: Reactor, pair: Pair) -> None:
    near, far = pair()
    reactor.watch(near.fileno(), Handled(lambda mask: None))
    reactor.close(near)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert near.fileno() == -1
    assert far.recv(1) == b""


async def test_another_turn_comes_after_the_others(reactor: Reactor, pair: Pair) -> None:
    order: list[str] = []
    done = asyncio.Event()

    def go_on() -> None:
        order.append("turn")
        done.set()

    waiting = Handled(lambda mask: None, go_on)

    def ready(mask: int) -> None:
        order.append("event")
        reactor.again(waiting)

    for near, far in (pair(), pair()):
        far.send(b"x")
        near.setblocking(False)
        reactor.watch(near.fileno(), Handled(ready), EDGES)
    await asyncio.wait_for(done.wait(), 5)
    assert order[:2] == ["event", "event"]


async def test_another_turn_asked_for_in_a_turn_comes_in_the_next_batch(reactor: Reactor) -> None:
    turns: list[int] = []
    done = asyncio.Event()

    def go_on() -> None:
        turns.append(1)
        if len(turns) < 3:
            reactor.again(waiting)
        else:
            done.set()

    waiting = Handled(lambda mask: None, go_on)
    reactor.again(waiting)
    assert turns == []
    await asyncio.wait_for(done.wait(), 5)


async def test_a_defect_in_a_handler_is_its_own(reactor: Reactor, pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    done = asyncio.Event()

    def fail(mask: int) -> None:
        near.recv(1)
        raise ZeroDivisionError

    def work(mask: int) -> None:
        other.recv(1)
        done.set()

    (near, far), (other, other_far) = pair(), pair()
    failing, working = Handled(fail), Handled(work)
    reactor.watch(near.fileno(), failing, LEVEL)
    reactor.watch(other.fileno(), working, LEVEL)
    far.send(b"x")
    other_far.send(b"x")
    await asyncio.wait_for(done.wait(), 5)
    assert (failing.crashes, working.crashes) == (1, 0)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_defect_in_one_turn_takes_no_other_turn_away(
    reactor: Reactor, caplog: pytest.LogCaptureFixture
) -> None:
    done = asyncio.Event()

    def fail() -> None:
        raise ZeroDivisionError

    failing = Handled(lambda mask: None, fail)
    reactor.again(failing)
    reactor.again(Handled(lambda mask: None, done.set))
    await asyncio.wait_for(done.wait(), 5)
    assert failing.crashes == 1
    assert "handler failed" in caplog.text
