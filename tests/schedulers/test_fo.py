"""fo: the heaviest backend, and the next one only when it cannot be used."""

from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler

Start = Callable[[str, Sequence[int]], tuple[Scheduler, list[Backend]]]


def test_everything_goes_to_the_heaviest_however_loaded(start: Start) -> None:
    scheduler, (_, heavy, _) = start("fo", (1, 3, 2))
    heavy.active = 1_000_000
    assert [scheduler.pick(key, 0.0) for key in range(5)] == [heavy] * 5


def test_the_next_heaviest_takes_over_when_it_drains(start: Start) -> None:
    scheduler, (light, heavy, middle) = start("fo", (1, 3, 2))
    heavy.weight = 0
    scheduler.update([light, heavy, middle])
    assert scheduler.pick(0, 0.0) is middle


@given(weights=st.lists(st.integers(0, 4), min_size=1, max_size=7), excluded=st.integers(0, 6))
def test_chooses_the_first_of_the_heaviest(start: Start, weights: list[int], excluded: int) -> None:
    scheduler, backends = start("fo", weights)
    without = backends[excluded : excluded + 1]
    usable = [backend for backend in backends if backend.weight > 0 and backend not in without]
    assert scheduler.pick(0, 0.0, without) is max(usable, key=lambda backend: backend.weight, default=None)
