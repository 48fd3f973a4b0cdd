"""wlc against the minimum of exact fractions."""

from collections.abc import Callable, Sequence
from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler

Start = Callable[[str, Sequence[int]], tuple[Scheduler, list[Backend]]]
loads = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 600)), min_size=1, max_size=7)


def test_an_idle_pool_gives_the_first_in_list_order_every_time(start: Start) -> None:
    scheduler, (a, _, _) = start("wlc", (1, 5, 9))
    assert [scheduler.pick(0, 0.0) for _ in range(3)] == [a, a, a]


def test_twice_the_weight_carries_twice_the_connections(start: Start) -> None:
    scheduler, (a, b) = start("wlc", (2, 1))
    a.active, b.active = 3, 2
    assert scheduler.pick(0, 0.0) is a
    a.active = 5
    assert scheduler.pick(0, 0.0) is b


@given(state=loads)
@example(state=[(1, 0, 1), (1, 0, 0)])
def test_chooses_the_least_overhead_for_its_weight(start: Start, state: list[tuple[int, int, int]]) -> None:
    scheduler, backends = start("wlc", [weight for weight, _, _ in state])
    for backend, (_, active, inactive) in zip(backends, state, strict=True):
        backend.active, backend.inactive = active, inactive
    usable = [backend for backend in backends if backend.weight > 0]
    expected = min(
        usable, key=lambda backend: Fraction(256 * backend.active + backend.inactive, backend.weight), default=None
    )
    assert scheduler.pick(0, 0.0) is expected


@given(weights=st.lists(st.integers(1, 5), min_size=1, max_size=6), flows=st.integers(0, 80))
def test_flows_that_stay_follow_the_weights(start: Start, weights: list[int], flows: int) -> None:
    scheduler, backends = start("wlc", weights)
    for _ in range(flows):
        backend = scheduler.pick(0, 0.0)
        assert backend is not None
        backend.active += 1
    # Whoever was chosen last had no more for its weight than any other.
    for backend in backends:
        assert all((backend.active - 1) * other.weight <= other.active * backend.weight for other in backends)
