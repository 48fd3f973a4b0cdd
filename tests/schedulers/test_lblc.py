"""lblc against a plain dictionary of the last choice."""

from collections.abc import Callable, Sequence
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.destination_cache import LIFETIME
from proxy.schedulers.scheduler import Scheduler

Start = Callable[[str, Sequence[int]], tuple[Scheduler, list[Backend]]]


class LastChoices:
    """The reference: destination to (backend, last use)."""

    def __init__(self, backends: list[Backend]) -> None:
        self.backends = backends
        self.memory: dict[int, tuple[Backend, float]] = {}

    def pick(self, key: int, now: float, without: Sequence[Backend]) -> Backend | None:
        backend, last_use = self.memory.get(key, (None, now))
        if backend is not None and (now - last_use > LIFETIME or backend in without or self.refuses(backend)):
            backend = None
        if backend is None:
            usable = [b for b in self.backends if b.weight > 0 and b not in without]
            backend = min(usable, key=lambda b: Fraction(256 * b.active + b.inactive, b.weight), default=None)
        if backend is not None:
            self.memory[key] = (backend, now)
        elif key in self.memory:
            self.memory[key] = (self.memory[key][0], now)
        return backend

    def refuses(self, backend: Backend) -> bool:
        spare = any(
            Fraction(other.active, other.weight or 1) < Fraction(1, 2) for other in self.backends if other.weight
        )
        return backend.weight == 0 or (backend.active > backend.weight and spare)


def test_a_destination_keeps_its_backend_though_another_has_less_to_do(start: Start) -> None:
    scheduler, (a, _) = start("lblc", (2, 2))
    a_first = scheduler.pick(7, 0.0)
    a.active = 2
    assert a_first is a
    assert scheduler.pick(7, 1.0) is a


def test_an_overloaded_backend_is_left_when_another_runs_below_half_of_its_weight(start: Start) -> None:
    scheduler, (a, b) = start("lblc", (2, 2))
    scheduler.pick(7, 0.0)
    a.active, b.active = 3, 1
    assert scheduler.pick(7, 1.0) is a
    b.active = 0
    assert scheduler.pick(7, 2.0) is b
    a.active = 0
    assert scheduler.pick(7, 3.0) is b


def test_a_destination_unused_for_a_day_is_chosen_for_again(start: Start) -> None:
    scheduler, (a, b) = start("lblc", (2, 2))
    scheduler.pick(7, 0.0)
    a.active = 1
    assert scheduler.pick(7, LIFETIME) is a
    assert scheduler.pick(7, 2 * LIFETIME + 1) is b


def test_a_backend_that_left_is_forgotten_and_not_remembered_when_it_returns(start: Start) -> None:
    scheduler, (a, b) = start("lblc", (2, 2))
    scheduler.pick(7, 0.0)
    scheduler.update([b])
    scheduler.update([b, a])
    a.active = 1
    assert scheduler.pick(7, 1.0) is b


@given(
    weights=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 4), st.sampled_from([0.0, 9.0, LIFETIME + 1])),
        max_size=30,
    ),
    retries=st.sets(st.integers(0, 29)),
)
def test_remembers_as_the_dictionary_does(
    start: Start, weights: list[int], steps: list[tuple[int, int, int, float]], retries: set[int]
) -> None:
    scheduler, backends = start("lblc", weights)
    model = LastChoices(backends)
    now = 0.0
    for step, (key, index, active, pause) in enumerate(steps):
        now += pause
        backend = backends[index % len(backends)]
        backend.active = active
        without = [backend] if step in retries else []
        assert scheduler.pick(key, now, without) is model.pick(key, now, without)
