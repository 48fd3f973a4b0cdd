"""rr against a linked list with a head, walked as the kernel walks it."""

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.registry import create
from proxy.schedulers.scheduler import Scheduler

Start = Callable[[str, Sequence[int]], tuple[Scheduler, list[Backend]]]

HEAD = Backend("head", 0, 0)


class LinkedList:
    """The reference: destinations after a head element, and a pointer to one element."""

    def __init__(self) -> None:
        self.ring = [HEAD]
        self.pointer = HEAD

    def add(self, backend: Backend) -> None:
        self.ring.insert(1, backend)

    def remove(self, backend: Backend) -> None:
        if self.pointer is backend:
            self.pointer = self.ring[self.ring.index(backend) - 1]
        self.ring.remove(backend)

    def pick(self, without: Sequence[Backend]) -> Backend | None:
        after = self.ring.index(self.pointer) + 1
        for backend in self.ring[after:] + self.ring[:after]:
            if backend.weight > 0 and backend not in without:
                self.pointer = backend
                return backend
        return None


def test_takes_each_backend_in_turn(start: Start) -> None:
    scheduler, (a, b, c) = start("rr", (1, 1, 1))
    assert [scheduler.pick(0, 0.0) for _ in range(7)] == [a, b, c, a, b, c, a]


def test_a_weight_other_than_zero_does_not_count(start: Start) -> None:
    scheduler, (a, _, c) = start("rr", (9, 0, 1))
    assert [scheduler.pick(0, 0.0) for _ in range(4)] == [a, c, a, c]


def test_removing_the_last_used_backend_moves_the_pointer_back_by_one(start: Start) -> None:
    scheduler, (a, b, c, d) = start("rr", (1, 1, 1, 1))
    assert [scheduler.pick(0, 0.0) for _ in range(3)] == [a, b, c]
    scheduler.update([a, b, d])
    assert [scheduler.pick(0, 0.0) for _ in range(3)] == [d, a, b]


def test_removing_the_last_used_and_those_before_it_moves_the_pointer_to_the_head(start: Start) -> None:
    scheduler, (_, _, c) = start("rr", (1, 1, 1))
    scheduler.pick(0, 0.0)
    scheduler.pick(0, 0.0)
    scheduler.update([c])
    newcomer = Backend("10.0.1.1", 80)
    scheduler.update([c, newcomer])
    assert [scheduler.pick(0, 0.0) for _ in range(3)] == [newcomer, c, newcomer]


def test_a_newcomer_does_not_reset_the_turn(start: Start) -> None:
    scheduler, (a, b, c) = start("rr", (1, 1, 1))
    scheduler.pick(0, 0.0)
    newcomer = Backend("10.0.1.1", 80)
    scheduler.update([a, b, c, newcomer])
    assert [scheduler.pick(0, 0.0) for _ in range(4)] == [b, c, newcomer, a]


@given(size=st.integers(1, 9), picks=st.integers(0, 60))
def test_no_backend_is_ahead_of_another_by_more_than_one(start: Start, size: int, picks: int) -> None:
    scheduler, backends = start("rr", [1] * size)
    counts = Counter(scheduler.pick(0, 0.0) for _ in range(picks))
    shares = [counts[backend] for backend in backends]
    assert max(shares) - min(shares) <= 1


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["add", "remove", "drain", "restore", "pick", "retry"]), st.integers(0, 5)),
        max_size=60,
    )
)
def test_walks_as_the_linked_list_does(steps: list[tuple[str, int]]) -> None:
    backends = [Backend("10.0.0.1", port) for port in range(6)]
    scheduler, model = create("rr", Random(1)), LinkedList()
    for action, index in steps:
        backend = backends[index]
        if action == "add" and backend not in model.ring:
            model.add(backend)
        elif action == "remove" and backend in model.ring:
            model.remove(backend)
        elif action in ("drain", "restore"):
            backend.weight = int(action == "restore")
        else:
            without = (backend,) if action == "retry" else ()
            assert scheduler.pick(0, 0.0, without) is model.pick(without)
        scheduler.update(model.ring[1:])
