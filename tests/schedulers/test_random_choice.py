"""random against a list in which each backend stands as often as its weight."""

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler

Start = Callable[[str, Sequence[int]], tuple[Scheduler, list[Backend]]]


@given(weights=st.lists(st.integers(0, 5), min_size=1, max_size=6).filter(any), retry=st.booleans())
def test_draws_each_backend_by_its_weight(start: Start, weights: list[int], retry: bool) -> None:
    scheduler, backends = start("random", weights)
    without = backends[1:2] if retry else []
    lots = [backend for backend in backends if backend not in without for _ in range(backend.weight)]
    draws = Random(1)
    for _ in range(10):
        assert scheduler.pick(0, 0.0, without) is (lots[draws.randrange(len(lots))] if lots else None)


def test_shares_follow_the_weights(start: Start) -> None:
    scheduler, (a, b, c) = start("random", (1, 2, 5))
    counts = Counter(scheduler.pick(0, 0.0) for _ in range(8000))
    assert abs(counts[a] - 1000) < 150
    assert abs(counts[b] - 2000) < 200
    assert abs(counts[c] - 5000) < 250
