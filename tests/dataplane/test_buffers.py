"""What the relays of a worker may hold for slow readers."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.buffers import Buffers
from proxy.dataplane.reactor import Waiting


class Starving:
    def go_on(self) -> None: ...

    def crashed(self) -> None: ...


class Queue:
    def __init__(self) -> None:
        self.called: list[Waiting] = []

    def again(self, waiting: Waiting, /) -> None:
        self.called.append(waiting)


def test_it_is_full_at_its_capacity_and_scarce_at_half_of_it() -> None:
    buffers = Buffers(100, Queue())
    assert not buffers.is_scarce
    buffers.change(50)
    assert (buffers.is_scarce, buffers.is_full) == (True, False)
    buffers.change(50)
    assert buffers.is_full


def test_who_waits_is_called_once_when_there_is_room() -> None:
    queue, one, other = Queue(), Starving(), Starving()
    buffers = Buffers(100, queue)
    buffers.change(150)
    for each in (one, other, one):
        buffers.wait(each)
    buffers.change(-50)
    assert queue.called == []
    buffers.change(-1)
    assert queue.called == [one, other]
    buffers.change(-1)
    assert queue.called == [one, other]


def test_who_is_gone_is_not_called() -> None:
    queue, one, other = Queue(), Starving(), Starving()
    buffers = Buffers(100, queue)
    buffers.change(100)
    buffers.wait(one)
    buffers.wait(other)
    buffers.forget(one)
    buffers.forget(one)
    buffers.change(-1)
    assert queue.called == [other]


@given(st.lists(st.one_of(st.integers(-60, 60), st.just("wait"))))
def test_nobody_waits_while_there_is_room(steps: list[Any]) -> None:
    queue = Queue()
    buffers = Buffers(100, queue)
    waiting = 0
    for step in steps:
        if step == "wait":
            if buffers.is_full:
                buffers.wait(Starving())
                waiting += 1
        else:
            buffers.change(max(step, -buffers.held))
        if not buffers.is_full:
            assert len(queue.called) == waiting
