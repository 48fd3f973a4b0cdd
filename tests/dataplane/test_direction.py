"""Two directions over real sockets and a real edge-triggered epoll, driven step by step in any order."""

import os
import select
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dataplane import direction
from proxy.dataplane.buffers import Buffers
from proxy.dataplane.descriptors import Descriptors
from proxy.dataplane.direction import Direction, DirectionOwner
from proxy.dataplane.direction_state import DirectionState
from proxy.dataplane.pipes import Pipes
from proxy.dataplane.reactor import EDGES, EDGES_AND_ROOM

Pair = tuple[socket.socket, socket.socket]
ROOM = 1 << 20


def unix_pair() -> Pair:
    one, other = socket.socketpair()
    for sock in (one, other):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
    return one, other


def tiny_tcp_pair() -> Pair:
    """Two ends of a TCP connection with the least buffers that the kernel gives."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        # A segment that the window never has room for would wait for the kernel's timers.
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        one.connect(listener.getsockname())
        other, _ = listener.accept()
    for sock in (one, other):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one, other


PAIRS: Mapping[str, Callable[[], Pair]] = {"unix": unix_pair, "tiny TCP": tiny_tcp_pair}


class Harness(DirectionOwner):
    """A relay's two directions between two pairs of sockets; `client` and `backend` are the far ends.

    Nothing happens but by `events` (what epoll has, and it has each edge once) and `turns` (what asked for another).
    """

    def __init__(self, buffer_size: int, pipes: int, pair: Callable[[], Pair], buffers: Buffers) -> None:
        self.client, self._client = pair()
        self.backend, self._backend = pair()
        for sock in (self.client, self._client, self.backend, self._backend):
            sock.setblocking(False)
        buffer = bytearray(buffer_size)
        self.waiting: list[Direction] = []
        self.descriptors = Descriptors(100)
        self.pipes = Pipes(self.descriptors, most=pipes)
        reactor: Any = SimpleNamespace(
            now=1.0, buffer=buffer, view=memoryview(buffer), again=self.waiting.append, widen=self.widen
        )
        self.buffers = buffers
        self.over = False
        self.ended: list[Direction] = []
        self.widened: list[int] = []
        self.errors: list[tuple[int | None, object]] = []
        self.upward = self._direction(reactor, self._client, self._backend)
        self.downward = self._direction(reactor, self._backend, self._client)
        self._epoll = select.epoll()
        self._handlers = {self._client.fileno(): self.upward, self._backend.fileno(): self.downward}
        for descriptor in self._handlers:
            self._epoll.register(descriptor, EDGES)

    def _direction(self, reactor: Any, source: socket.socket, target: socket.socket) -> Direction:
        return Direction(self, reactor, self.pipes, self.buffers, source, target, nagle=False)

    def widen(self, descriptor: int) -> None:
        self.widened.append(descriptor)
        self._epoll.modify(descriptor, EDGES_AND_ROOM)

    def opposite(self, direction: Direction) -> Direction:
        return self.downward if direction is self.upward else self.upward

    def half_closed(self, direction: Direction) -> None:
        self.ended.append(direction)
        direction.target.shutdown(socket.SHUT_WR)

    def failed(self, error: OSError, sock: socket.SocketType) -> None:
        self.errors.append((error.errno, sock))
        self.over = True

    def broken(self, sock: socket.SocketType) -> None:
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self.failed(OSError(number, os.strerror(number)), sock)

    def events(self, patience: float = 0.0) -> int:
        """Deliver every event there is, or comes within so many seconds; gives their number."""
        events = self._epoll.poll(patience)
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

    def say(self, data: bytes) -> int:
        """Send bytes to the endpoint as the relay does before there are directions; gives how many it took."""
        return self._backend.send(data)

    def stop(self) -> None:
        for one in (self.upward, self.downward):
            one.stop()

    def close(self) -> None:
        self.stop()
        self.pipes.close()
        assert self.descriptors.free == self.descriptors.capacity
        self._epoll.close()
        for sock in (self.client, self._client, self.backend, self._backend):
            sock.close()


@contextmanager
def harness(pipes: int = 0, pair: Callable[[], Pair] = unix_pair, buffers: Buffers | None = None) -> Iterator[Harness]:
    if not vars(direction)["__file__"].endswith(".py"):
        pytest.skip("a compiled Direction takes no stand-in for its relay")
    made = Harness(vars(direction)["BUFFER_SIZE"], pipes, pair, buffers or Buffers(ROOM))
    try:
        yield made
    finally:
        made.close()
        assert buffers is not None or made.buffers.held == 0


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
        st.tuples(st.just("memory is scarce"), st.just(0)),
        st.tuples(st.just("memory is free"), st.just(0)),
        st.tuples(st.just("client ends"), st.just(0)),
    ),
    max_size=80,
)
DATA = os.urandom(9000)


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


class Conversation:
    """What both far ends have said and heard so far."""

    def __init__(self, made: Harness) -> None:
        self.made = made
        self.sent = {made.client: b"", made.backend: b""}
        self.received = {made.client: b"", made.backend: b""}
        self.ended = False
        self._taken = 0

    def write(self, sock: socket.socket, size: int) -> int:
        data = written(sock, DATA[:size])
        self.sent[sock] += data
        return len(data)

    def read(self, sock: socket.socket, size: int) -> int:
        data = read(sock, size)
        self.received[sock] += data
        return len(data)

    def end(self) -> None:
        if not self.ended:
            self.ended = True
            self.made.client.shutdown(socket.SHUT_WR)

    def take_memory(self, scarce: bool) -> None:
        """Others take all the memory that there is for bytes held, or give it back."""
        wanted = ROOM if scarce else 0
        difference, self._taken = wanted - self._taken, wanted
        self.made.buffers.change(difference)

    def do(self, action: str, size: int) -> None:
        who, _, verb = action.partition(" ")
        sock = self.made.client if who == "client" else self.made.backend
        match verb:
            case "writes":
                if not (self.ended and sock is self.made.client):
                    self.write(sock, size)
            case "reads":
                self.read(sock, size)
            case "ends":
                self.end()
            case "is scarce" | "is free":
                self.take_memory(verb == "is scarce")
            case _:
                getattr(self.made, action)()

    def finish(self) -> None:
        """All that was written must arrive, in order and whole, however long the kernel's timers take."""
        made = self.made
        self.take_memory(False)
        deadline = time.monotonic() + 20
        while not self._is_complete():
            assert time.monotonic() < deadline, "it never comes to rest"
            moved = self.read(made.client, 65536) + self.read(made.backend, 65536) + made.turns() + made.events()
            if not moved:
                made.events(0.05)
        assert self.received[made.backend] == self.sent[made.client]
        assert self.received[made.client] == self.sent[made.backend]
        assert made.upward.carried == len(self.sent[made.client])
        assert made.downward.carried == len(self.sent[made.backend])
        assert not made.errors

    def _is_complete(self) -> bool:
        made = self.made
        whole = all(
            len(self.received[to]) >= len(self.sent[by])
            for by, to in ((made.client, made.backend), (made.backend, made.client))
        )
        return whole and made.ended == ([made.upward] if self.ended else [])


def run(made: Harness, steps: list[tuple[str, int]]) -> None:
    """Do the steps; afterwards all that was written must arrive, in order and whole."""
    conversation = Conversation(made)
    for action, size in steps:
        conversation.do(action, size)
    conversation.finish()


def fill(conversation: Conversation, state: DirectionState) -> None:
    """Write, and read nothing, until the endpoint takes no more."""
    made = conversation.made
    for _ in range(3000):
        if made.upward.state == state:
            return
        conversation.write(made.client, 700)
        made.events(0.001)
        made.turns()
    raise AssertionError(f"it is never {state.name}")


def hold_first_bytes(conversation: Conversation) -> None:
    """The relay's first send took some of what the client said before there was an endpoint."""
    made, first = conversation.made, DATA[:3000]
    conversation.sent[made.client] += first
    made.upward.begin(first, made.say(first[:100]), told_of_room=False)
    made.downward.begin(b"", 0, told_of_room=False)


def splice(conversation: Conversation) -> None:
    made = conversation.made
    for _ in range(50):
        conversation.write(made.client, 1000)
        made.events(0.001)
        if made.upward.state == DirectionState.SPLICING:
            return
        made.turns()
        conversation.read(made.backend, 65536)
    raise AssertionError("it never splices")


def end(conversation: Conversation) -> None:
    conversation.write(conversation.made.client, 10)
    conversation.end()
    for _ in range(50):
        conversation.made.events(0.001)
        if conversation.made.upward.state == DirectionState.ENDED:
            return
    raise AssertionError("it never ends")


STARTS: Mapping[str, tuple[DirectionState, Callable[[Conversation], None]]] = {
    "open": (DirectionState.OPEN, lambda conversation: None),
    "holding": (DirectionState.HOLDING, lambda conversation: fill(conversation, DirectionState.HOLDING)),
    "holding the first bytes": (DirectionState.HOLDING, hold_first_bytes),
    "open, with no memory left": (DirectionState.OPEN, lambda conversation: conversation.take_memory(True)),
    "ended": (DirectionState.ENDED, end),
}
SPLICED_STARTS: Mapping[str, tuple[DirectionState, Callable[[Conversation], None]]] = {
    "splicing": (DirectionState.SPLICING, splice),
    "piped": (DirectionState.PIPED, lambda conversation: fill(conversation, DirectionState.PIPED)),
}


def go_on_from(start: tuple[DirectionState, Callable[[Conversation], None]], made: Harness, steps: Any) -> None:
    state, begin = start
    conversation = Conversation(made)
    begin(conversation)
    assert made.upward.state == state
    for action, size in steps:
        conversation.do(action, size)
    conversation.finish()


def test_every_state_but_the_last_is_started_in() -> None:
    started = {state for state, _ in (*STARTS.values(), *SPLICED_STARTS.values())}
    assert started == set(DirectionState) - {DirectionState.STOPPED}


@pytest.mark.usefixtures("copied")
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("start", STARTS)
@settings(max_examples=20)
@given(STEPS)
def test_every_byte_arrives_in_order_from_every_state(start: str, pair: str, steps: list[tuple[str, int]]) -> None:
    with harness(pair=PAIRS[pair]) as made:
        go_on_from(STARTS[start], made, steps)


@pytest.mark.usefixtures("spliced")
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("start", SPLICED_STARTS)
@settings(max_examples=20)
@given(STEPS)
def test_every_byte_arrives_in_order_from_every_state_of_a_pipe(
    start: str, pair: str, steps: list[tuple[str, int]]
) -> None:
    with harness(pipes=2, pair=PAIRS[pair]) as made:
        go_on_from(SPLICED_STARTS[start], made, steps)


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
        made.events()
        assert made.waiting == [made.upward]
        for _ in range(100):
            sent += written(made.client, os.urandom(1000))
            made.events()
        assert made.upward.state == DirectionState.HOLDING
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
        assert made.upward.state == DirectionState.HOLDING
        assert 0 < made.buffers.held <= 256
        assert not written(made.client, b"x")
        assert everything(made, made.backend) == sent


@pytest.mark.usefixtures("copied")
def test_one_place_in_the_queue_is_enough_for_a_source_that_is_never_empty() -> None:
    with harness() as made:
        sent = written(made.client, bytes(6000))
        made.events()
        made.upward.ready(select.EPOLLIN)
        assert made.waiting == [made.upward]
        assert everything(made, made.backend) == sent


@pytest.mark.usefixtures("copied")
def test_a_busy_source_gives_others_a_turn_after_some_reads() -> None:
    with harness() as made:
        written(made.client, bytes(6000))
        made.upward.go_on()
        assert made.upward.carried == 256 * direction.READS_PER_TURN


@pytest.mark.usefixtures("spliced")
def test_an_end_behind_bytes_in_the_pipe_comes_after_them() -> None:
    with harness(pipes=1) as made:
        sent = b""
        for _ in range(200):
            sent += written(made.client, os.urandom(1000))
            made.events()
            made.turns()
        assert made.upward.state == DirectionState.PIPED
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
        assert made.upward.state == DirectionState.PIPED
        made.stop()
        assert made.descriptors.free == made.descriptors.capacity


@pytest.mark.usefixtures("spliced")
def test_a_pipe_is_not_lent_again_where_the_target_went_before_it_was_empty() -> None:
    with harness(pipes=1) as made:
        for _ in range(20):
            written(made.client, bytes(1000))
            made.events()
            made.turns()
            read(made.backend, 100_000)
        assert made.upward.state == DirectionState.SPLICING
        made.backend.close()
        written(made.client, bytes(1000))
        made.events()
        assert [sock for _, sock in made.errors] == [made.upward.target]
        made.stop()
        assert made.descriptors.free == made.descriptors.capacity


def test_a_target_that_is_gone_fails_the_relay_on_its_side() -> None:
    with harness() as made:
        made.backend.close()
        written(made.client, b"x")
        made.events()
        assert [sock for _, sock in made.errors] == [made.upward.target]


def test_a_direction_that_is_over_touches_nothing() -> None:
    with harness() as made:
        written(made.client, b"x")
        made.stop()
        made.upward.ready(select.EPOLLIN)
        made.upward.ready(select.EPOLLIN | select.EPOLLOUT | select.EPOLLERR)
        made.upward.go_on()
        made.upward.make_room()
        assert (made.upward.carried, made.ended, made.errors) == (0, [], [])
        assert made.upward.state == DirectionState.STOPPED


def test_an_event_counts_as_use() -> None:
    with harness() as made:
        made.upward.ready(select.EPOLLOUT)
        assert made.upward.used == 1.0


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
            assert made.upward.state == DirectionState.HOLDING
            assert everything(made, made.backend) == sent
        assert made.widened == [made.upward.target.fileno()]


class Recorder(socket.socket):
    """A target that notes how it is sent to."""

    def note(self) -> list[bool]:
        self.waited_for_more: list[bool] = []
        return self.waited_for_more

    def send(self, data: Any, flags: int = 0, /) -> int:
        self.waited_for_more.append(flags & socket.MSG_MORE != 0)
        return super().send(data, flags)


def recorded_pair() -> Pair:
    one, other = unix_pair()
    recorder = Recorder(other.family, other.type, 0, other.detach())
    recorder.note()
    return one, recorder


def test_the_last_bytes_wait_for_the_fin_and_no_others_do() -> None:
    with harness(pair=recorded_pair) as made:
        target = made.upward.target
        assert isinstance(target, Recorder)
        written(made.client, b"first")
        made.events()
        written(made.client, b"last")
        made.client.shutdown(socket.SHUT_WR)
        made.events()
        assert target.waited_for_more == [False, True]
        assert made.ended == [made.upward]
        assert read(made.backend, 100) == b"firstlast"
        assert read(made.backend, 100) == b""


@pytest.mark.usefixtures("copied")
def test_after_a_slow_reader_was_met_little_is_read_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that stopped once costs no more than a small read when it stops again."""
    monkeypatch.setattr(direction, "SMALL_READ", 64)
    with harness() as made:
        conversation = Conversation(made)
        fill(conversation, DirectionState.HOLDING)
        assert made.buffers.held <= 256
        conversation.finish()
        fill(conversation, DirectionState.HOLDING)
        assert made.buffers.held <= 64
        conversation.finish()


@pytest.mark.usefixtures("copied")
def test_room_that_the_source_reports_is_no_matter_while_nobody_waits_for_it() -> None:
    """Endpoints on other machines report room with every ACK: their answers take the short path all the same."""
    with harness() as made:
        made.upward.begin(b"", 0, told_of_room=True)
        written(made.backend, b"answer")
        made.downward.ready(select.EPOLLIN | select.EPOLLOUT)
        assert read(made.client, 100) == b"answer"
        assert made.downward.state == DirectionState.OPEN


@pytest.mark.parametrize("readers", [1, 40])
def test_without_memory_a_reader_that_never_reads_costs_little_and_stops_nobody_else(readers: int) -> None:
    with ExitStack() as stack:
        buffers = Buffers(1)
        buffers.change(1)
        stuck = [Conversation(stack.enter_context(harness(buffers=buffers))) for _ in range(readers)]
        for conversation in stuck:
            fill(conversation, DirectionState.HOLDING)
        assert 1 < buffers.held <= 1 + readers * direction.SCARCE_READ
        lively = Conversation(stack.enter_context(harness(buffers=buffers)))
        lively.write(lively.made.client, 9000)
        lively.finish()
    assert buffers.held == 1
