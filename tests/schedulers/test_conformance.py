"""What every scheduler must do, whatever its formula: one suite over the whole registry."""

from collections import Counter
from operator import is_
from random import Random
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.destination_cache import LIFETIME
from proxy.schedulers.registry import create, names
from proxy.schedulers.scheduler import Scheduler

every_scheduler = pytest.mark.parametrize("name", names())
weights_of_pools = st.lists(st.integers(0, 5), min_size=1, max_size=7)
keys = st.integers(0, 2**32 - 1)


def pool(*weights: int) -> list[Backend]:
    return [Backend("10.0.0.1", 8000 + index, weight) for index, weight in enumerate(weights)]


def started(name: str, backends: list[Backend]) -> Scheduler:
    scheduler = create(name, Random(1))
    scheduler.update(backends)
    return scheduler


def carried(scheduler: Scheduler, flows: int, seed: int = 2) -> list[Backend]:
    """The backends of `flows` flows from many clients, none of which ends: the test counts as a data plane does."""
    clients = Random(seed)
    chosen = []
    for second in range(flows):
        backend = scheduler.pick(clients.randrange(2**32), float(second))
        if backend is not None:
            backend.active += 1
            chosen.append(backend)
    return chosen


class Step(NamedTuple):
    """Something in the life of a scheduler of seven backends: their new weights, if any (below 0: not in the pool), the
    load of each, and a choice, so many seconds after the one before."""

    weights: list[int] | None
    loads: list[int]
    key: int
    pause: float
    without: set[int]


steps = st.builds(
    Step,
    weights=st.none() | st.lists(st.integers(-1, 5), min_size=7, max_size=7),
    loads=st.lists(st.integers(0, 9), min_size=7, max_size=7),
    key=st.integers(0, 2),
    pause=st.sampled_from([0.0, LIFETIME / 2, LIFETIME + 1]),
    without=st.just(set()) | st.sets(st.integers(0, 6)),
)


def lived(scheduler: Scheduler, backends: list[Backend], life: list[Step], now: float = 0.0) -> list[int | None]:
    """The ports that the scheduler chose, step by step, from `now` on."""
    chosen = []
    for step in life:
        now += step.pause
        for backend, load in zip(backends, step.loads, strict=True):
            backend.active = load
        if step.weights is not None:
            for backend, weight in zip(backends, step.weights, strict=True):
                backend.weight = max(0, weight)
            scheduler.update([backend for backend, weight in zip(backends, step.weights, strict=True) if weight >= 0])
        choice = scheduler.pick(step.key, now, [backends[place] for place in step.without])
        chosen.append(None if choice is None else choice.port)
    return chosen


@every_scheduler
def test_has_no_destination_before_the_first_update(name: str) -> None:
    assert create(name, Random(1)).pick(1, 0.0) is None


@every_scheduler
def test_has_no_destination_in_an_empty_pool(name: str) -> None:
    scheduler = started(name, pool(1, 1))
    scheduler.update([])
    assert scheduler.pick(1, 0.0) is None


@every_scheduler
def test_has_no_destination_when_every_weight_is_zero(name: str) -> None:
    backends = pool(0, 0, 0)
    scheduler = started(name, backends)
    assert [scheduler.pick(key, 0.0) for key in range(20)] == [None] * 20
    assert scheduler.pick(1, 0.0, backends[:1]) is None


@every_scheduler
def test_chooses_the_only_backend_every_time(name: str) -> None:
    (backend,) = backends = pool(1)
    scheduler = started(name, backends)
    assert [scheduler.pick(key, float(key)) for key in range(20)] == [backend] * 20


@every_scheduler
@given(weights=weights_of_pools, key=keys)
def test_never_chooses_a_backend_of_weight_zero(name: str, weights: list[int], key: int) -> None:
    scheduler = started(name, pool(*weights))
    for step in range(20):
        backend = scheduler.pick(key + step, 0.0)
        assert backend is None or backend.weight > 0


@every_scheduler
def test_a_drained_backend_gets_nothing_new(name: str) -> None:
    backends = pool(3, 3, 3)
    scheduler = started(name, backends)
    carried(scheduler, 50)
    backends[0].weight = 0
    scheduler.update(backends)
    assert backends[0] not in carried(scheduler, 200)


@every_scheduler
def test_a_backend_that_left_is_never_chosen_again(name: str) -> None:
    backends = pool(3, 3, 3)
    scheduler = started(name, backends)
    carried(scheduler, 50)
    scheduler.update(backends[1:])
    assert set(carried(scheduler, 200)) <= set(backends[1:])
    assert carried(scheduler, 200) or name == "ovf"


@every_scheduler
def test_a_backend_that_joined_is_chosen_in_the_end(name: str) -> None:
    backends = pool(1, 1, 1)
    scheduler = started(name, backends)
    carried(scheduler, 50)
    newcomer = Backend("10.0.0.2", 80, 2)
    scheduler.update([*backends, newcomer])
    assert newcomer in carried(scheduler, 400)


@every_scheduler
@given(weights=weights_of_pools, key=keys, data=st.data())
def test_a_retry_finds_another_backend_as_long_as_there_is_one(
    name: str, weights: list[int], key: int, data: st.DataObject
) -> None:
    backends = pool(*weights)
    scheduler = started(name, backends)
    tried = data.draw(st.lists(st.sampled_from(backends), min_size=1, unique=True))
    left = {backend for backend in backends if backend.weight > 0} - set(tried)
    chosen = scheduler.pick(key, 0.0, tried)
    assert chosen in left if left else chosen is None


@every_scheduler
def test_retries_try_every_backend_once_and_then_give_up(name: str) -> None:
    backends = pool(*[1] * 40)
    scheduler = started(name, backends)
    tried: list[Backend] = []
    for _ in backends:
        backend = scheduler.pick(77, 0.0, tried)
        assert backend is not None
        tried.append(backend)
    assert set(tried) == set(backends)
    assert scheduler.pick(77, 0.0, tried) is None


@every_scheduler
@settings(max_examples=30)
@given(weights=weights_of_pools, updates=st.sets(st.integers(0, 39)), order=st.randoms(use_true_random=False))
def test_an_update_without_a_change_leaves_the_state_as_it_was(
    name: str, weights: list[int], updates: set[int], order: Random
) -> None:
    updated, twin = pool(*weights), pool(*weights)
    scheduler, untouched = started(name, updated), started(name, twin)
    for step in range(40):
        if step in updates:
            scheduler.update(order.sample(updated, len(updated)))
        chosen, expected = scheduler.pick(step // 3, float(step)), untouched.pick(step // 3, float(step))
        assert (chosen and chosen.port) == (expected and expected.port)
        if chosen is not None and expected is not None:
            chosen.active += 1
            expected.active += 1


@every_scheduler
def test_an_update_replaces_the_lists_where_something_changed_and_nowhere_else(name: str) -> None:
    backends = pool(1, 2, 3)
    scheduler = started(name, backends)
    before = scheduler.destinations, scheduler.usable, scheduler.weights
    scheduler.update(list(reversed(backends)))
    assert all(map(is_, (scheduler.destinations, scheduler.usable, scheduler.weights), before))
    backends[0].weight = 4
    scheduler.update(backends)
    assert not any(map(is_, (scheduler.destinations, scheduler.usable, scheduler.weights), before))
    assert before == ([*reversed(backends)], [*reversed(backends)], [3, 2, 1])


@every_scheduler
@given(weights=weights_of_pools, loads=st.lists(st.integers(0, 9), min_size=14, max_size=14), key=keys)
def test_never_touches_the_counters(name: str, weights: list[int], loads: list[int], key: int) -> None:
    backends = pool(*weights)
    for backend, active, inactive in zip(backends, loads[:7], loads[7:], strict=False):
        backend.active, backend.inactive = active, inactive
    before = [(backend.active, backend.inactive, backend.weight) for backend in backends]
    scheduler = started(name, backends)
    for step in range(5):
        scheduler.pick(key, float(step))
        scheduler.pick(key, float(step), backends[:1])
    assert [(backend.active, backend.inactive, backend.weight) for backend in backends] == before


@every_scheduler
@settings(max_examples=30)
@given(past=st.lists(steps, max_size=12), future=st.lists(steps, min_size=1, max_size=12))
def test_a_copy_goes_on_as_the_original_does_and_neither_touches_the_other(
    name: str, past: list[Step], future: list[Step]
) -> None:
    """Beside a twin that was never copied, and both ways round: the copy lives through the future first, then the
    original, and then a copy of the twin after the twin."""
    backends, twins = pool(*[1] * 7), pool(*[1] * 7)
    scheduler, untouched = started(name, backends), started(name, twins)
    assert lived(scheduler, backends, past) == lived(untouched, twins, past)
    copy, late_copy = scheduler.copy(), untouched.copy()
    assert type(copy) is type(scheduler)
    as_it_was, now = [(each.weight, each.active) for each in backends], sum(step.pause for step in past)
    expected = lived(untouched, twins, future, now)
    for one, its_pool in ((copy, backends), (scheduler, backends), (late_copy, twins)):
        for backend, (weight, active) in zip(its_pool, as_it_was, strict=True):
            backend.weight, backend.active = weight, active
        assert lived(one, its_pool, future, now) == expected


@every_scheduler
@given(weights=weights_of_pools, loads=st.lists(st.integers(0, 9), min_size=7, max_size=7), data=st.data())
def test_what_is_foreseen_comes_true_and_changes_nothing(
    name: str, weights: list[int], loads: list[int], data: st.DataObject
) -> None:
    """Beside a twin of which nothing was ever foreseen."""
    backends, twins = pool(*weights), pool(*weights)
    for backend, twin, load in zip(backends, twins, loads, strict=False):
        backend.active = twin.active = load
    scheduler, untouched = started(name, backends), started(name, twins)
    for step in range(15):
        key = data.draw(keys)
        without = data.draw(st.sets(st.integers(0, len(backends) - 1))) if step % 3 else set()
        foreseen = scheduler.foresee(key, float(step), [backends[place] for place in without])
        chosen = scheduler.pick(key, float(step), [backends[place] for place in without])
        expected = untouched.pick(key, float(step), [twins[place] for place in without])
        assert (chosen and chosen.port) == (expected and expected.port)
        assert chosen in dict(foreseen) if chosen else not foreseen
        assert sum(chance for _, chance in foreseen) == pytest.approx(1.0 if chosen else 0.0)
        assert name in ("random", "twos") or len(foreseen) == bool(chosen)


@pytest.mark.parametrize("name", ["random", "twos"])
def test_a_chance_is_how_often_it_happens(name: str) -> None:
    backends = pool(1, 2, 0, 5)
    for backend, load in zip(backends, (3, 1, 0, 9), strict=True):
        backend.active = load
    scheduler = started(name, backends)
    counted = Counter(scheduler.pick(0, 0.0) for _ in range(20_000))
    assert set(counted) == set(dict(scheduler.foresee(0, 0.0)))
    for chosen, chance in scheduler.foresee(0, 0.0):
        assert counted[chosen] / 20_000 == pytest.approx(chance, abs=0.02)


@every_scheduler
def test_the_same_seed_gives_the_same_choices(name: str) -> None:
    first, second = started(name, pool(1, 2, 3)), started(name, pool(1, 2, 3))
    assert [backend.port for backend in carried(first, 100)] == [backend.port for backend in carried(second, 100)]
