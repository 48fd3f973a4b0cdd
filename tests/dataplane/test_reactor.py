"""The reactor: batches, closing at their end, another turn, and defects that stay with their owner."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator

import pytest

from proxy.dataplane.reactor import EDGES, LEVEL, READABLE, Reactor
from tests.dataplane.handled import Handled, Pair


@pytest.fixture
async def reactor() -> AsyncIterator[Reactor]:
    made = Reactor()
    made.embed(asyncio.get_running_loop())
    yield made
    made.release()


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
