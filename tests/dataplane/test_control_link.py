"""The worker's end of the channel: messages in turns with the flows, in order, and each to its end."""

import gc
import socket
from collections.abc import Iterator
from itertools import groupby
from socket import SocketType
from types import SimpleNamespace
from typing import Any, NoReturn

import msgspec
import pytest

from proxy.dataplane import control_link
from proxy.dataplane.control_link import ControlLink
from proxy.dataplane.descriptors import Descriptors
from proxy.dataplane.messages import Acknowledge, Message, Ping, Reply, Request, StopAccepting, Update
from proxy.dataplane.question import ListConnections, Question
from proxy.dataplane.reactor import LEVEL, Reactor
from proxy.dataplane.steps import Steps
from proxy.dataplane.wire import FrameReader, framed
from tests.dataplane.handled import Handled, Pair


class Running:
    """A link to a worker that takes the removal of pools apart into one step each, and does nothing but to remember
    it. The pool `defect` cannot be removed. `flow` has something to read in every batch of events."""

    def __init__(self, flow: SocketType) -> None:
        self.happened: list[str] = []
        self.reactor = Reactor()
        self.reactor.watch(flow.fileno(), Handled(lambda mask: self.happened.append("flow")), LEVEL)
        self._ours, self._theirs = socket.socketpair()
        self._theirs.setblocking(False)
        worker: Any = SimpleNamespace(
            resources=SimpleNamespace(reactor=self.reactor, descriptors=Descriptors(100)),
            apply=self._apply,
            stop_accepting=lambda: self._apply(removing("listener", "another"), {}),
            flush=self._flush,
            open_relays=3,
            answer=self._answer,
            make_room=lambda sockets: 0,
            end_all=lambda _: None,
        )
        self.link = ControlLink(self._theirs, worker)
        self.link.start()

    def _apply(self, update: Update, sockets: Any) -> Steps:
        for key in update.removed_pools:
            if key == "defect":
                raise RuntimeError(key)
            self.happened.append(key)
            yield

    def _answer(self, question: Question) -> NoReturn:
        raise RuntimeError(question)

    def _flush(self) -> None:
        self.happened.append("acknowledged")

    def run(self, *messages: Message) -> list[str]:
        """What happens from these messages to the end of the channel, without the flow's turns before and after, and
        with those that it has one after the other as one."""
        for message in messages:
            self._ours.send(framed(msgspec.msgpack.encode(message)))
        self._ours.shutdown(socket.SHUT_WR)
        self.reactor.run()
        return " ".join(each for each, _ in groupby(self.happened)).removeprefix("flow ").removesuffix(" flow").split()

    def answered(self) -> list[int]:
        """The numbers of the replies, the worker's first word aside."""
        frames = FrameReader()
        frames.feed(self._ours.recv(1 << 16))
        replies = iter(lambda: frames.next(), None)
        return [msgspec.msgpack.decode(payload, type=Reply).number for payload in replies][1:]

    def close(self) -> None:
        self.reactor.release()
        self._ours.close()
        self._theirs.close()


@pytest.fixture
def running(pair: Pair) -> Iterator[Running]:
    flow, other = pair()
    other.send(b"x")
    made = Running(flow)
    yield made
    made.close()


@pytest.fixture
def every_step_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1_000_000))
    monkeypatch.setattr(control_link, "monotonic", lambda: float(next(clock)))


@pytest.fixture
def no_step_takes_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_link, "monotonic", lambda: 0.0)


def removing(*pools: str) -> Update:
    return Update(removed_pools=pools)


@pytest.mark.usefixtures("every_step_takes_long")
def test_flows_have_their_turn_between_the_steps_of_one_message(running: Running) -> None:
    assert running.run(removing("a", "b", "c")) == ["a", "flow", "b", "flow", "c"]


@pytest.mark.usefixtures("no_step_takes_any_time")
def test_what_is_quickly_done_is_done_in_one_turn_and_the_next_message_in_another(running: Running) -> None:
    assert running.run(removing("a", "b"), removing("c")) == ["a", "b", "flow", "c"]


@pytest.mark.usefixtures("every_step_takes_long")
def test_a_message_is_applied_to_its_end_before_the_next_and_before_it_is_acknowledged(running: Running) -> None:
    acknowledge = Request(1, Acknowledge())
    happened = running.run(removing("a", "b"), acknowledge, removing("c", "d"), Request(2, Acknowledge()))
    told = [each for each in happened if each != "flow"]
    assert told == ["a", "b", "acknowledged", "c", "d", "acknowledged"]
    assert running.answered() == [1, 2]


@pytest.mark.usefixtures("every_step_takes_long")
def test_listeners_are_closed_in_turns_too_and_the_answer_comes_when_all_are(running: Running) -> None:
    happened = running.run(Request(1, StopAccepting()), Request(2, Acknowledge()))
    assert happened == ["listener", "flow", "another", "flow", "acknowledged"]
    assert running.answered() == [1, 2]


@pytest.mark.usefixtures("every_step_takes_long")
def test_a_message_that_fails_ends_the_worker(running: Running) -> None:
    happened = running.run(removing("a", "defect", "b"), removing("c"), Request(1, Acknowledge()))
    assert [each for each in happened if each != "flow"] == ["a"]
    assert running.link.failed
    assert running.answered() == []


def test_a_question_that_fails_costs_its_answer_alone(running: Running) -> None:
    running.run(Request(1, ListConnections()), removing("a"), Request(2, Acknowledge()))
    assert running.answered() == [1, 2]
    assert not running.link.failed


def test_a_ping_is_answered(running: Running) -> None:
    running.run(Request(1, Ping()))
    assert running.answered() == [1]


def test_what_was_told_is_set_aside_from_garbage_collection_at_once(running: Running) -> None:
    before = gc.get_freeze_count()
    try:
        running.run(removing("a"))
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
