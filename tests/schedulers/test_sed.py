"""sed against the minimum of exact fractions."""

from collections.abc import Callable, Sequence
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler

Start = Callable[[str, Sequence[int]], tuple[Scheduler, list[Backend]]]
loads = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=7)


def test_a_busy_heavy_backend_goes_before_an_idle_light_one(start: Start) -> None:
    scheduler, (_, heavy) = start("sed", (1, 4))
    heavy.active = 2
    assert scheduler.pick(0, 0.0) is heavy


def test_a_tie_goes_to_the_first_in_list_order(start: Start) -> None:
    scheduler, (light, heavy) = start("sed", (1, 4))
    heavy.active = 3
    assert scheduler.pick(0, 0.0) is light


def test_inactive_connections_do_not_count(start: Start) -> None:
    scheduler, (a, b) = start("sed", (1, 1))
    a.inactive, b.active = 1000, 1
    assert scheduler.pick(0, 0.0) is a


@given(state=loads)
def test_chooses_the_shortest_expected_delay(start: Start, state: list[tuple[int, int]]) -> None:
    scheduler, backends = start("sed", [weight for weight, _ in state])
    for backend, (_, active) in zip(backends, state, strict=True):
        backend.active = active
    usable = [backend for backend in backends if backend.weight > 0]
    expected = min(usable, key=lambda backend: Fraction(backend.active + 1, backend.weight), default=None)
    assert scheduler.pick(0, 0.0) is expected
