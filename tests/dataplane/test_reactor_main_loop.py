"""The reactor as the main loop of a worker: events, turns, ticks and rest, until it is stopped."""

import signal
from collections.abc import Callable, Iterator

import pytest

from proxy.dataplane.reactor import EDGES, LEVEL, READABLE, Reactor
from tests.dataplane.handled import Handled, Pair


@pytest.fixture
def main_loop() -> Iterator[Reactor]:
    """A reactor that no other loop has; `run` drives it."""
    made = Reactor()
    yield made
    made.release()


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
