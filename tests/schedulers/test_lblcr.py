"""lblcr against sets of past choices kept in a dictionary."""

from collections.abc import Callable, Sequence
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.destination_cache import LIFETIME
from proxy.schedulers.scheduler import Scheduler

Start = Callable[[str, Sequence[int]], tuple[Scheduler, list[Backend]]]


def load(backend: Backend) -> Fraction:
    return Fraction(256 * backend.active + backend.inactive, backend.weight)


class PastChoices:
    """The reference: destination to its set (newest first), the set's last change and its last use."""

    def __init__(self, backends: list[Backend]) -> None:
        self.backends = backends
        self.sets: dict[int, list[Backend]] = {}
        self.changes: dict[int, float] = {}
        self.uses: dict[int, float] = {}

    def pick(self, key: int, now: float, without: Sequence[Backend]) -> Backend | None:
        if now - self.uses.get(key, now) > LIFETIME:
            del self.sets[key], self.uses[key]
        members = self.sets.get(key, [])
        if key in self.sets:
            self.uses[key] = now
        backend = min((b for b in members if b.weight and b not in without), key=load, default=None)
        weighty = [b for b in members if b.weight]
        if len(members) > 1 and weighty and now - self.changes[key] > LIFETIME:
            members.remove(max(weighty, key=load))
            self.changes[key] = now
        if backend is None or self.overloaded(backend):
            backend = min((b for b in self.backends if b.weight and b not in without), key=load, default=None)
            if backend is not None and backend not in members:
                self.sets[key] = [backend, *members]
                self.changes[key] = self.uses[key] = now
        return backend

    def overloaded(self, backend: Backend) -> bool:
        return backend.active > backend.weight and any(2 * other.active < other.weight for other in self.backends)


def test_a_destination_keeps_its_backend_until_it_is_overloaded(start: Start) -> None:
    scheduler, (a, b) = start("lblcr", (2, 2))
    assert scheduler.pick(7, 0.0) is a
    a.active = 2
    assert scheduler.pick(7, 1.0) is a
    a.active = 3
    assert scheduler.pick(7, 2.0) is b


def test_the_set_keeps_its_members_and_the_least_loaded_serves(start: Start) -> None:
    scheduler, (a, b, c) = start("lblcr", (2, 2, 2))
    scheduler.pick(7, 0.0)
    a.active, c.active = 3, 1
    assert scheduler.pick(7, 1.0) is b
    a.active, b.active, c.active = 1, 2, 0
    assert scheduler.pick(7, 2.0) is a


def test_a_set_that_did_not_change_for_a_day_loses_its_most_loaded_member(start: Start) -> None:
    scheduler, (a, b) = start("lblcr", (2, 2))
    scheduler.pick(7, 0.0)
    a.active = 3
    assert scheduler.pick(7, 1.0) is b
    scheduler.pick(7, LIFETIME)
    scheduler.pick(7, LIFETIME + 2)
    a.active, b.active = 0, 1
    assert scheduler.pick(7, LIFETIME + 3) is b


def test_a_destination_unused_for_a_day_is_chosen_for_again(start: Start) -> None:
    scheduler, (a, b) = start("lblcr", (2, 2))
    scheduler.pick(7, 0.0)
    a.active = 1
    assert scheduler.pick(7, LIFETIME) is a
    assert scheduler.pick(7, 2 * LIFETIME + 1) is b


def test_a_backend_that_left_is_in_no_set_when_it_returns(start: Start) -> None:
    scheduler, (a, b) = start("lblcr", (2, 2))
    scheduler.pick(7, 0.0)
    a.active = 3
    scheduler.pick(7, 1.0)
    scheduler.update([b])
    scheduler.update([b, a])
    a.active, b.active = 0, 1
    assert scheduler.pick(7, 2.0) is b


@given(
    weights=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    steps=st.lists(
        st.tuples(
            st.integers(0, 1), st.integers(0, 3), st.integers(0, 4), st.sampled_from([0.0, LIFETIME / 2, LIFETIME + 1])
        ),
        max_size=40,
    ),
    retries=st.sets(st.integers(0, 39)),
)
def test_remembers_as_the_dictionary_of_sets_does(
    start: Start, weights: list[int], steps: list[tuple[int, int, int, float]], retries: set[int]
) -> None:
    scheduler, backends = start("lblcr", weights)
    model = PastChoices(backends)
    now = 0.0
    for step, (key, index, active, pause) in enumerate(steps):
        now += pause
        backend = backends[index % len(backends)]
        backend.active = active
        without = [backend] if step in retries else []
        assert scheduler.pick(key, now, without) is model.pick(key, now, without)
