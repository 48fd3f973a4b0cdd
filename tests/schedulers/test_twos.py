"""twos against the kernel's walk along the list."""

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler

Start = Callable[[str, Sequence[int]], tuple[Scheduler, list[Backend]]]
loads = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 300)), min_size=1, max_size=7)


def walked(usable: list[Backend], rest: int) -> Backend:
    """Walk the list, taking each weight from `rest`, until nothing is left."""
    for backend in usable:
        rest -= backend.weight
        if rest <= 0:
            return backend
    raise AssertionError("drawn beyond the total weight")


@given(state=loads, retry=st.booleans())
def test_chooses_as_the_walk_does(start: Start, state: list[tuple[int, int, int]], retry: bool) -> None:
    scheduler, backends = start("twos", [weight for weight, _, _ in state])
    for backend, (_, active, inactive) in zip(backends, state, strict=True):
        backend.active, backend.inactive = active, inactive
    without = backends[:1] if retry else []
    usable = [backend for backend in backends if backend.weight > 0 and backend not in without]
    total = sum(backend.weight for backend in usable)
    draws = Random(1)
    for _ in range(10):
        expected = None
        if usable:
            first, second = (walked(usable, draws.randint(0, total)) for _ in range(2))
            loads = [(256 * b.active + b.inactive) / b.weight for b in (first, second)]
            expected = second if loads[0] > loads[1] else first
        assert scheduler.pick(0, 0.0, without) is expected


def test_the_idle_one_of_two_is_chosen_three_times_of_four(start: Start) -> None:
    scheduler, (busy, idle) = start("twos", (1000, 1000))
    busy.active = 1
    counts = Counter(scheduler.pick(0, 0.0) for _ in range(8000))
    assert abs(counts[idle] - 6000) < 200
    assert abs(counts[busy] - 2000) < 200


def test_an_idle_pool_is_shared_by_weight(start: Start) -> None:
    scheduler, (a, b) = start("twos", (3000, 1000))
    counts = Counter(scheduler.pick(0, 0.0) for _ in range(8000))
    assert abs(counts[a] - 6000) < 200
    assert abs(counts[b] - 2000) < 200
