"""ovf: the heaviest backend until it is full, then the next."""

from collections.abc import Callable, Sequence

from hypothesis import given
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.scheduler import Scheduler

Start = Callable[[str, Sequence[int]], tuple[Scheduler, list[Backend]]]
loads = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=7)


def test_fills_the_heaviest_first_and_refuses_when_all_are_full(start: Start) -> None:
    scheduler, (light, heavy) = start("ovf", (1, 3))
    chosen = []
    for _ in range(7):
        backend = scheduler.pick(0, 0.0)
        chosen.append(backend)
        if backend is not None:
            backend.active += 1
    assert chosen == [heavy] * 4 + [light] * 2 + [None]


@given(state=loads)
def test_chooses_the_first_of_the_heaviest_with_room(start: Start, state: list[tuple[int, int]]) -> None:
    scheduler, backends = start("ovf", [weight for weight, _ in state])
    for backend, (_, active) in zip(backends, state, strict=True):
        backend.active = active
    roomy = [backend for backend in backends if backend.weight > 0 and backend.active <= backend.weight]
    assert scheduler.pick(0, 0.0) is max(roomy, key=lambda backend: backend.weight, default=None)
