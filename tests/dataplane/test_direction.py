"""Two directions over real sockets and a real edge-triggered epoll, driven step by step in any order."""

import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane import direction
from proxy.dataplane.descriptors import Descriptors
from proxy.dataplane.direction import Direction
from proxy.dataplane.pipes import Pipes
from proxy.dataplane.reactor import EDGES, EDGES_AND_ROOM


class Harness:
    """A relay's two directions between two pairs of sockets; `client` and `backend` are the far ends.

    Nothing happens but by `events` (what epoll has, and it has each edge once) and `turns` (what asked for another).
    """

    def __init__(self, buffer_size: int, pipes: int) -> None:
        self.client, self._client = socket.socketpair()
        self.backend, self._backend = socket.socketpair()
        for sock in (self.client, self._client, self.backend, self._backend):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
            sock.setblocking(False)
        buffer = bytearray(buffer_size)
        self.waiting: list[Direction] = []
        self.descriptors = Descriptors(100)
        self.pipes = Pipes(self.descriptors, most=pipes)
        reactor: Any = SimpleNamespace(
            now=1.0, buffer=buffer, view=memoryview(buffer), again=self.waiting.append, widen=self.widen
        )
        self.listener = SimpleNamespace(resources=SimpleNamespace(reactor=reactor, pipes=self.pipes))
        self.used = 0.0
        self.over = False
        self.ended: list[Direction] = []
        self.widened: list[int] = []
        self.errors: list[tuple[int | None, object]] = []
        relay: Any = self
        self.upward = Direction(relay, reactor, self._client, self._backend, nagle=False)
        self.downward = Direction(relay, reactor, self._backend, self._client, nagle=False)
        self._epoll = select.epoll()
        self._handlers = {self._client.fileno(): self.upward, self._backend.fileno(): self.downward}
        for descriptor in self._handlers:
            self._epoll.register(descriptor, EDGES)

    def widen(self, descriptor: int) -> None:
        self.widened.append(descriptor)
        self._epoll.modify(descriptor, EDGES_AND_ROOM)

    def opposite(self, one: Direction) -> Direction:
        return self.downward if one is self.upward else self.upward

    def half_closed(self, ended: Direction) -> None:
        self.ended.append(ended)
        ended.target.shutdown(socket.SHUT_WR)

    def failed(self, error: OSError, sock: object) -> None:
        self.errors.append((error.errno, sock))
        self.over = True

    def broken(self, sock: socket.socket) -> None:
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self.failed(OSError(number, os.strerror(number)), sock)

    def events(self) -> int:
        """Deliver every event there is; gives their number."""
        events = self._epoll.poll(0)
        for descriptor, mask in events:
            if not self.over:
                self._handlers[descriptor].ready(mask)
        return len(events)

    def turns(self) -> int:
        """Let everybody that waits for another turn have it."""
        waiting, self.waiting[:] = list(self.waiting), []
        for one in waiting:
            one.go_on()
        return len(waiting)

    def close(self) -> None:
        for one in (self.upward, self.downward):
            one.leave_pipe()
        self.pipes.close()
        assert self.descriptors.free == self.descriptors.capacity
        self._epoll.close()
        for sock in (self.client, self._client, self.backend, self._backend):
            sock.close()


@contextmanager
def harness(pipes: int = 0) -> Iterator[Harness]:
    if not vars(direction)["__file__"].endswith(".py"):
        pytest.skip("a compiled Direction takes no stand-in for its relay")
    made = Harness(vars(direction)["BUFFER_SIZE"], pipes)
    try:
        yield made
    finally:
        made.close()


def written(sock: socket.socket, data: bytes) -> bytes:
    """What of `data` the socket took."""
    try:
        return data[: sock.send(data)]
    except BlockingIOError:
        return b""


def read(sock: socket.socket, most: int) -> bytes:
    try:
        return sock.recv(most)
    except BlockingIOError:
        return b""


def everything(made: Harness, sock: socket.socket) -> bytes:
    """What arrives at a far end until nothing moves any more."""
    received = b""
    for _ in range(10_000):
        chunk = read(sock, 65536)
        received += chunk
        if not made.events() and not made.turns() and not chunk:
            return received
    raise AssertionError("it never comes to rest")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("client writes"), st.integers(1, 9000)),
        st.tuples(st.just("backend writes"), st.integers(1, 9000)),
        st.tuples(st.just("client reads"), st.integers(1, 9000)),
        st.tuples(st.just("backend reads"), st.integers(1, 9000)),
        st.tuples(st.just("events"), st.just(0)),
        st.tuples(st.just("turns"), st.just(0)),
        st.tuples(st.just("client ends"), st.just(0)),
    ),
    max_size=80,
)


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """Directions with a buffer of 256 bytes."""
    monkeypatch.setattr(direction, "BUFFER_SIZE", 256)


@pytest.fixture
def spliced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Directions that move to a pipe at once and back as late as they can."""
    monkeypatch.setattr(direction, "BUFFER_SIZE", 64)
    monkeypatch.setattr(direction, "FULL_READS_BEFORE_SPLICE", 1)
    monkeypatch.setattr(direction, "SMALL_SPLICE", 32)


def run(made: Harness, steps: list[tuple[str, int]]) -> None:
    """Do the steps; afterwards all that was written must arrive, in order and whole."""
    sent = {made.client: b"", made.backend: b""}
    received = {made.client: b"", made.backend: b""}
    data, ended = os.urandom(9000), False
    for action, size in steps:
        who, _, verb = action.partition(" ")
        sock = made.client if who == "client" else made.backend
        if verb == "writes" and not (ended and sock is made.client):
            sent[sock] += written(sock, data[:size])
        elif verb == "reads":
            received[sock] += read(sock, size)
        elif verb == "ends" and not ended:
            ended = True
            sock.shutdown(socket.SHUT_WR)
        elif action in ("events", "turns"):
            getattr(made, action)()
    received[made.backend] += everything(made, made.backend)
    received[made.client] += everything(made, made.client)
    received[made.backend] += everything(made, made.backend)
    assert received[made.backend] == sent[made.client]
    assert received[made.client] == sent[made.backend]
    assert (made.upward.carried, made.downward.carried) == (len(sent[made.client]), len(sent[made.backend]))
    assert made.ended == ([made.upward] if ended else [])
    assert not made.errors


@pytest.mark.usefixtures("copied")
@given(STEPS)
def test_every_byte_arrives_in_order_whatever_the_order_of_events(steps: list[tuple[str, int]]) -> None:
    with harness() as made:
        run(made, steps)


@given(STEPS)
@pytest.mark.usefixtures("spliced")
def test_every_byte_arrives_in_order_through_pipes(steps: list[tuple[str, int]]) -> None:
    with harness(pipes=2) as made:
        run(made, steps)


@given(STEPS)
@pytest.mark.usefixtures("spliced")
def test_every_byte_arrives_in_order_with_a_pipe_for_one_of_two(steps: list[tuple[str, int]]) -> None:
    with harness(pipes=1) as made:
        run(made, steps)


@pytest.mark.usefixtures("copied")
def test_a_turn_that_was_asked_for_before_the_target_was_full_overtakes_nothing() -> None:
    with harness() as made:
        sent = written(made.client, os.urandom(6000))
        made.upward.pump()
        assert made.waiting == [made.upward]
        for _ in range(100):
            sent += written(made.client, os.urandom(1000))
            if made.upward.held is None:
                made.upward.pump()
        assert made.upward.held is not None
        made.turns()
        assert everything(made, made.backend) == sent


def test_an_end_that_comes_after_the_event_was_taken_is_not_passed_over() -> None:
    """The event told of bytes alone: another turn has read them, and then the FIN came."""
    with harness() as made:
        made.client.shutdown(socket.SHUT_WR)
        made.upward.ready(select.EPOLLIN)
        assert made.ended == [made.upward]
        assert made.backend.recv(1) == b""


def test_an_event_behind_which_nothing_is_left_changes_nothing() -> None:
    with harness() as made:
        made.upward.ready(select.EPOLLIN)
        assert (made.ended, made.errors, made.waiting) == ([], [], [])


@pytest.mark.usefixtures("copied")
def test_nothing_is_read_while_bytes_are_held() -> None:
    with harness() as made:
        sent = b""
        for _ in range(200):
            sent += written(made.client, bytes(1000))
            made.events()
            made.turns()
        assert made.upward.held is not None
        assert len(made.upward.held) <= 256
        assert not written(made.client, b"x")
        assert everything(made, made.backend) == sent


@pytest.mark.usefixtures("copied")
def test_one_place_in_the_queue_is_enough_for_a_source_that_is_never_empty() -> None:
    with harness() as made:
        sent = written(made.client, bytes(6000))
        for _ in range(2):
            made.upward.pump()
        assert made.waiting == [made.upward]
        assert everything(made, made.backend) == sent


@pytest.mark.usefixtures("copied")
def test_a_busy_source_gives_others_a_turn_after_some_reads() -> None:
    with harness() as made:
        written(made.client, bytes(6000))
        made.upward.pump()
        assert made.upward.carried == 256 * direction.READS_PER_TURN


@pytest.mark.usefixtures("spliced")
def test_an_end_behind_bytes_in_the_pipe_comes_after_them() -> None:
    with harness(pipes=1) as made:
        sent = b""
        for _ in range(200):
            sent += written(made.client, os.urandom(1000))
            made.events()
            made.turns()
        assert made.upward._in_pipe
        made.client.shutdown(socket.SHUT_WR)
        made.events()
        assert made.ended == []
        assert everything(made, made.backend) == sent
        assert made.ended == [made.upward]


@pytest.mark.usefixtures("spliced")
def test_a_pipe_with_bytes_in_it_is_closed_and_not_lent_again() -> None:
    with harness(pipes=1) as made:
        for _ in range(200):
            written(made.client, bytes(1000))
            made.events()
            made.turns()
        assert made.upward._in_pipe
        made.upward.leave_pipe()
        assert made.descriptors.free == made.descriptors.capacity


@pytest.mark.usefixtures("spliced")
def test_a_pipe_is_not_lent_again_where_the_target_went_before_it_was_empty() -> None:
    with harness(pipes=1) as made:
        for _ in range(20):
            written(made.client, bytes(1000))
            made.events()
            made.turns()
            read(made.backend, 100_000)
        assert made.upward.pipe is not None
        assert not made.upward._in_pipe
        made.backend.close()
        written(made.client, bytes(1000))
        made.events()
        assert [sock for _, sock in made.errors] == [made.upward.target]
        made.upward.leave_pipe()
        assert made.descriptors.free == made.descriptors.capacity


def test_a_target_that_is_gone_fails_the_relay_on_its_side() -> None:
    with harness() as made:
        made.backend.close()
        written(made.client, b"x")
        made.upward.pump()
        assert [sock for _, sock in made.errors] == [made.upward.target]


def test_a_direction_that_is_over_touches_nothing() -> None:
    with harness() as made:
        written(made.client, b"x")
        made.over = True
        made.upward.pump()
        made.upward.go_on()
        assert made.upward.carried == 0


def test_an_event_counts_as_use() -> None:
    with harness() as made:
        made.upward.ready(select.EPOLLOUT)
        assert made.used == 1.0


@pytest.mark.usefixtures("copied")
def test_room_is_asked_for_once_and_only_when_there_was_none() -> None:
    with harness() as made:
        written(made.client, b"x")
        assert everything(made, made.backend) == b"x"
        assert made.widened == []
        for _ in range(3):
            sent = b""
            for _ in range(200):
                sent += written(made.client, bytes(1000))
                made.events()
                made.turns()
            assert made.upward.held is not None
            assert everything(made, made.backend) == sent
        assert made.widened == [made.upward.target.fileno()]


class Recorder:
    """A target that notes how it is sent to."""

    def __init__(self, sock: socket.SocketType) -> None:
        self._sock = sock
        self.waited_for_more: list[bool] = []

    def send(self, data: bytes, flags: int) -> int:
        self.waited_for_more.append(flags & socket.MSG_MORE != 0)
        return self._sock.send(data, flags)

    def shutdown(self, how: int) -> None:
        self._sock.shutdown(how)


def test_the_last_bytes_wait_for_the_fin_and_no_others_do() -> None:
    with harness() as made:
        target: Any = Recorder(made.upward.target)
        made.upward.target = target
        written(made.client, b"first")
        made.events()
        written(made.client, b"last")
        made.client.shutdown(socket.SHUT_WR)
        made.events()
        assert target.waited_for_more == [False, True]
        assert made.ended == [made.upward]
        assert read(made.backend, 100) == b"firstlast"
        assert read(made.backend, 100) == b""
