"""The reactor: batches, closing at their end, another turn, and defects that stay with their owner."""

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
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
    made = Reactor()
    made.embed(asyncio.get_running_loop())
    yield made
    made.release()


@pytest.fixture
def main_loop() -> Iterator[Reactor]:
    """A reactor that no other loop has; `run` drives it."""
    made = Reactor()
    yield made
    made.release()


@pytest.fixture
def pair() -> Iterator[Callable[[], tuple[SocketType, socket.socket]]]:
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


async def test_a_tick_comes_again_and_again_in_another_loop(reactor: Reactor) -> None:
    ticks: list[float] = []
    done = asyncio.Event()

    def tick() -> None:
        ticks.append(reactor.now)
        if len(ticks) == 3:
            done.set()

    reactor.every(0.01, tick)
    await asyncio.wait_for(done.wait(), 5)
    assert ticks == sorted(ticks)


async def test_in_another_loop_a_tick_that_rests_comes_again_and_is_due_when_it_was(reactor: Reactor) -> None:
    due: list[float] = []
    enough = asyncio.Event()

    def tick() -> None:
        reactor.rest()
        due.append(reactor._next_tick - reactor.now)
        if len(due) == 3:
            enough.set()

    reactor.every(0.01, tick)
    await asyncio.wait_for(enough.wait(), 10)
    assert max(due) < 1


def test_the_main_loop_dispatches_and_ticks_until_it_is_stopped(main_loop: Reactor, pair: Pair) -> None:
    near, far = pair()
    order: list[str] = []

    def ready(mask: int) -> None:
        order.append(near.recv(1).decode())

    def tick() -> None:
        order.append("tick")
        far.send(b"b")
        if order.count("tick") == 3:
            main_loop.stop()

    main_loop.watch(near.fileno(), Handled(ready), LEVEL)
    far.send(b"a")
    main_loop.every(0.01, tick)
    main_loop.run()
    assert order == ["a", "tick", "b", "tick", "b", "tick"]


@pytest.mark.parametrize("is_embedded", [False, True])
async def test_a_tick_knows_how_late_it_came(is_embedded: bool) -> None:
    reactor = Reactor()
    if is_embedded:
        reactor.embed(asyncio.get_running_loop())
    late: list[float] = []
    over = asyncio.Event()

    def tick() -> None:
        late.append(reactor.late)
        if len(late) == 1:
            # Whatever holds a loop up: the next tick is due meanwhile.
            time.sleep(0.05)
        else:
            reactor.stop()
            over.set()

    reactor.every(0.01, tick)
    if is_embedded:
        await asyncio.wait_for(over.wait(), 10)
    else:
        await asyncio.to_thread(reactor.run)
    reactor.release()
    assert late[0] >= 0
    assert late[1] >= 0.03


class Slept:
    """In the place of an epoll: gives the events of the test, and keeps how long it was asked to wait."""

    def __init__(self, *events: list[tuple[int, int]]) -> None:
        self.events = list(events)
        self.waits: list[float] = []

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        self.waits.append(timeout)
        return self.events.pop(0)

    def run(self, main_loop: Reactor, tick: Callable[[], None]) -> None:
        """Until the tick stops it, which is called after every wait."""
        epoll, main_loop._epoll = main_loop._epoll, self  # type: ignore[assignment]
        main_loop.every(0.0, tick)
        main_loop.run()
        main_loop._epoll = epoll


def test_the_main_loop_sleeps_after_a_tick_that_rests_until_something_happens(main_loop: Reactor) -> None:
    something = [(-1, READABLE)]
    slept = Slept([], [], something, [], [])
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(len(slept.waits))
        if len(ticks) == 2:
            main_loop.rest()
        if not slept.events:
            main_loop.stop()

    slept.run(main_loop, tick)
    assert ticks == [1, 2, 3, 4, 5]
    assert [wait > 1 for wait in slept.waits] == [False, False, True, False, False]


def test_the_main_loop_does_not_rest_while_somebody_waits_for_a_turn(main_loop: Reactor) -> None:
    slept = Slept([], [])

    def tick() -> None:
        main_loop.again(Handled(lambda _: None))
        main_loop.rest()
        if not slept.events:
            main_loop.stop()

    slept.run(main_loop, tick)
    assert max(slept.waits) == 0.0


def test_the_main_loop_runs_again_after_a_stop(main_loop: Reactor) -> None:
    ticks: list[None] = []

    def tick() -> None:
        ticks.append(None)
        main_loop.stop()

    main_loop.every(0.01, tick)
    main_loop.run()
    main_loop.run()
    assert len(ticks) == 2


def test_the_main_loop_gives_other_turns_without_waiting_for_an_event(main_loop: Reactor) -> None:
    turns: list[None] = []

    def go_on() -> None:
        turns.append(None)
        if len(turns) < 3:
            main_loop.again(waiting)
        else:
            main_loop.stop()

    waiting = Handled(lambda mask: None, go_on)
    main_loop.again(waiting)
    main_loop.run()
    assert len(turns) == 3


def test_the_main_loop_closes_what_an_event_a_turn_or_a_tick_let_go_of(main_loop: Reactor, pair: Pair) -> None:
    pairs = [pair() for _ in range(4)]
    before, by_event, by_turn, by_tick = (near for near, _ in pairs)

    def ready(mask: int) -> None:
        main_loop.close(by_event)
        main_loop.again(Handled(lambda mask: None, lambda: main_loop.close(by_turn)))
        main_loop.every(0.01, tick)

    def tick() -> None:
        main_loop.close(by_tick)
        main_loop.stop()

    main_loop.close(before)
    main_loop.watch(by_event.fileno(), Handled(ready), EDGES)
    pairs[1][1].send(b"x")
    main_loop.run()
    assert [near.fileno() for near, _ in pairs] == [-1] * 4


def test_a_descriptor_number_never_comes_back_within_a_batch_of_the_main_loop(main_loop: Reactor, pair: Pair) -> None:
    pairs = [pair() for _ in range(4)]
    numbers = [near.fileno() for near, _ in pairs]
    opened: list[int] = []

    def ready(mask: int) -> None:
        for near, _ in pairs:
            main_loop.close(near)
        opened.extend(pair()[0].fileno() for _ in range(4))
        main_loop.stop()

    for near, far in pairs:
        main_loop.watch(near.fileno(), Handled(ready), LEVEL)
        far.send(b"x")
    main_loop.run()
    assert len(opened) == 4
    assert not set(opened) & set(numbers)


def test_a_defect_in_a_tick_takes_no_other_tick_away(main_loop: Reactor, caplog: pytest.LogCaptureFixture) -> None:
    ticks: list[None] = []

    def tick() -> None:
        ticks.append(None)
        if len(ticks) == 2:
            main_loop.stop()
        raise ZeroDivisionError

    main_loop.every(0.01, tick)
    main_loop.run()
    assert caplog.text.count("tick failed") == 2


def test_a_signal_stops_the_main_loop(main_loop: Reactor) -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: main_loop.stop())
    try:
        main_loop.every(0.01, lambda: signal.raise_signal(signal.SIGUSR1))
        main_loop.run()
    finally:
        signal.signal(signal.SIGUSR1, before)
