"""nq against its two rules, spelled out."""

from collections.abc import Callable, Sequence
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler

Start = Callable[[str, Sequence[int]], tuple[Scheduler, list[Backend]]]
loads = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=7)


def test_an_idle_light_backend_goes_before_a_busy_heavy_one(start: Start) -> None:
    scheduler, (heavy, light) = start("nq", (100, 1))
    heavy.active = 1
    assert scheduler.pick(0, 0.0) is light


def test_the_first_idle_one_in_list_order_wins_whatever_its_weight(start: Start) -> None:
    scheduler, (_, light, _) = start("nq", (0, 1, 100))
    assert scheduler.pick(0, 0.0) is light


def test_with_nobody_idle_it_chooses_as_sed_does(start: Start) -> None:
    scheduler, (light, heavy) = start("nq", (1, 4))
    light.active, heavy.active = 1, 2
    assert scheduler.pick(0, 0.0) is heavy


@given(state=loads)
def test_chooses_the_idle_one_else_the_shortest_delay(start: Start, state: list[tuple[int, int]]) -> None:
    scheduler, backends = start("nq", [weight for weight, _ in state])
    for backend, (_, active) in zip(backends, state, strict=True):
        backend.active = active
    usable = [backend for backend in backends if backend.weight > 0]
    idle = [backend for backend in usable if backend.active == 0]
    shortest = min(usable, key=lambda backend: Fraction(backend.active + 1, backend.weight), default=None)
    assert scheduler.pick(0, 0.0) is (idle[0] if idle else shortest)
