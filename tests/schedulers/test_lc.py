"""lc against the minimum of a list."""

from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler

Start = Callable[[str, Sequence[int]], tuple[Scheduler, list[Backend]]]
loads = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 600)), min_size=1, max_size=7)


def test_prefers_the_idle_backend(start: Start) -> None:
    scheduler, (a, b, c) = start("lc", (1, 1, 1))
    a.active, b.active, c.active = 2, 0, 1
    assert scheduler.pick(0, 0.0) is b


def test_a_tie_goes_to_the_first_in_list_order(start: Start) -> None:
    scheduler, (a, b, c) = start("lc", (1, 5, 9))
    a.active = b.active = c.active = 2
    assert scheduler.pick(0, 0.0) is a


def test_one_active_connection_outweighs_255_inactive_ones(start: Start) -> None:
    scheduler, (a, b) = start("lc", (1, 1))
    a.active, b.inactive = 1, 255
    assert scheduler.pick(0, 0.0) is b
    b.inactive = 257
    assert scheduler.pick(0, 0.0) is a


@given(state=loads)
def test_chooses_the_least_overhead_whatever_the_weight(start: Start, state: list[tuple[int, int, int]]) -> None:
    scheduler, backends = start("lc", [weight for weight, _, _ in state])
    for backend, (_, active, inactive) in zip(backends, state, strict=True):
        backend.active, backend.inactive = active, inactive
    usable = [backend for backend in backends if backend.weight > 0]
    expected = min(usable, key=lambda backend: 256 * backend.active + backend.inactive, default=None)
    assert scheduler.pick(0, 0.0) is expected


@given(size=st.integers(1, 9), flows=st.integers(0, 60))
def test_flows_that_stay_differ_by_at_most_one(start: Start, size: int, flows: int) -> None:
    scheduler, backends = start("lc", [1] * size)
    for _ in range(flows):
        backend = scheduler.pick(0, 0.0)
        assert backend is not None
        backend.active += 1
    active = [backend.active for backend in backends]
    assert max(active) - min(active) <= 1
