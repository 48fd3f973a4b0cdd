"""The measures of load that several schedulers share."""

from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from proxy.schedulers.backend import Backend
from proxy.schedulers.load import is_overloaded, most_loaded, overhead

loads = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 600)), max_size=7)


def backends_of(state: list[tuple[int, int, int]]) -> list[Backend]:
    backends = []
    for port, (weight, active, inactive) in enumerate(state):
        backend = Backend("10.0.0.1", port, weight)
        backend.active, backend.inactive = active, inactive
        backends.append(backend)
    return backends


def test_overhead_counts_an_active_connection_256_times() -> None:
    (backend,) = backends_of([(1, 2, 3)])
    assert overhead(backend) == 515


@given(state=loads)
def test_the_most_loaded_has_the_largest_fraction(state: list[tuple[int, int, int]]) -> None:
    backends = backends_of(state)
    usable = [backend for backend in backends if backend.weight > 0]
    expected = max(usable, key=lambda backend: Fraction(overhead(backend), backend.weight), default=None)
    assert most_loaded(backends) is expected


@given(state=loads.filter(bool))
@example(state=[(1, 2, 0), (2, 1, 0)])
def test_overloaded_means_above_its_weight_while_another_is_below_half_of_its_own(
    state: list[tuple[int, int, int]],
) -> None:
    first, *others = backends_of(state)
    half_idle = {other.port for other in others if Fraction(other.active) < Fraction(other.weight, 2)}
    assert is_overloaded(first, others) == (first.active > first.weight and bool(half_idle))
