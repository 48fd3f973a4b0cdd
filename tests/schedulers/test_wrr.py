"""wrr against the kernel's scan: every place of the list at every level of weight."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import reduce
from math import gcd
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.registry import create
from proxy.schedulers.scheduler import Scheduler

Start = Callable[[str, Sequence[int]], tuple[Scheduler, list[Backend]]]


class Scan:
    """The reference: `place` is the index used last (-1 the head), `level` the kernel's current weight."""

    def __init__(self) -> None:
        self.backends: list[Backend] = []
        self.place, self.level, self.top, self.step = -1, 0, 0, 1

    def change(self, backends: list[Backend]) -> None:
        self.backends = backends
        positive = [backend.weight for backend in backends if backend.weight > 0]
        self.step = reduce(gcd, positive) if positive else 1
        self.top = (max(positive) if positive else 0) - (self.step - 1)
        self.place = -1
        if self.level > self.top or self.level == 0:
            self.level = self.top
        elif self.step > 1:
            self.level = (self.level // self.step) * self.step + 1

    def pick(self, without: Sequence[Backend]) -> Backend | None:
        if not any(backend.weight > 0 and backend not in without for backend in self.backends):
            return None
        for _ in range((len(self.backends) + 1) * (self.top // self.step + 3)):
            self.place += 1
            if self.place == len(self.backends):
                self.place = -1
                self.level -= self.step
                if self.level <= 0:
                    self.level = self.top
                continue
            backend = self.backends[self.place]
            if backend.weight >= self.level and backend not in without:
                return backend
        raise AssertionError("the scan goes round forever")


def test_weights_4_3_2_give_a_a_b_a_b_c_a_b_c_in_each_round(start: Start) -> None:
    scheduler, (a, b, c) = start("wrr", (4, 3, 2))
    chosen = [scheduler.pick(0, 0.0) for _ in range(21)]
    assert chosen == [a, b, c, *[a, a, b, a, b, c, a, b, c] * 2]


def test_equal_weights_take_turns(start: Start) -> None:
    scheduler, (a, b) = start("wrr", (7, 7))
    assert [scheduler.pick(0, 0.0) for _ in range(4)] == [a, b, a, b]


@given(weights=st.lists(st.integers(0, 12), min_size=1, max_size=6), cycles=st.integers(1, 3))
def test_a_cycle_gives_each_backend_its_weight(start: Start, weights: list[int], cycles: int) -> None:
    scheduler, backends = start("wrr", weights)
    divisor = gcd(*weights) or 1
    counts = Counter(scheduler.pick(0, 0.0) for _ in range(cycles * sum(weights) // divisor))
    assert [counts[backend] for backend in backends] == [cycles * weight // divisor for weight in weights]


def test_a_huge_weight_next_to_a_small_one_needs_no_scan_of_empty_levels(start: Start) -> None:
    scheduler, (heavy, light) = start("wrr", (10**9, 1))
    assert scheduler.pick(0, 0.0, (heavy,)) is light
    assert [scheduler.pick(0, 0.0) for _ in range(3)] == [heavy] * 3


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["add", "add two", "remove", "weigh", "pick", "retry"]),
            st.integers(0, 4),
            st.integers(0, 9),
        ),
        max_size=60,
    )
)
def test_scans_as_the_kernel_does_through_every_change(steps: list[tuple[str, int, int]]) -> None:
    backends = [Backend("10.0.0.1", port) for port in range(5)]
    scheduler, model = create("wrr", Random(1)), Scan()
    listed: list[Backend] = []
    for action, index, weight in steps:
        backend = backends[index]
        if action == "add" and backend not in listed:
            listed = [backend, *listed]
        elif action == "remove" and backend in listed:
            listed = [other for other in listed if other is not backend]
        elif action == "add two":
            joined = [backends[number] for number in (index, (index + 1) % 5) if backends[number] not in listed]
            for one in joined:
                listed = [one, *listed]
                model.change(listed)
            scheduler.update([*listed[len(joined) :], *joined])
            continue
        elif action == "weigh" and backend in listed and backend.weight != weight:
            backend.weight = weight
        elif action in ("pick", "retry"):
            without = (backend,) if action == "retry" else ()
            assert scheduler.pick(0, 0.0, without) is model.pick(without)
            continue
        else:
            continue
        scheduler.update(listed)
        model.change(listed)
