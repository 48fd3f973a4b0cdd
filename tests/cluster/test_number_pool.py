"""The pool of numbers against a plain set."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cluster.allocation_error import RangeFullError
from proxy.cluster.number_pool import NumberPool


class HighestStart(Random):
    """Every scan starts at the last number of its band."""

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        assert stop is not None
        return stop - 1


@pytest.mark.parametrize("size", range(1, 24))
@pytest.mark.parametrize("static", [0, 1, 5, 16])
def test_gives_the_upper_band_first_and_every_number_once(size: int, static: int) -> None:
    pool = NumberPool(size, static, Random(size))
    given_out = [pool.allocate() for _ in range(size)]
    upper = max(size - static, 0)
    assert sorted(given_out) == list(range(size))
    assert sorted(given_out[:upper]) == list(range(min(static, size), size))
    with pytest.raises(RangeFullError, match="range is full"):
        pool.allocate()


def test_scans_from_the_start_on_and_wraps() -> None:
    pool = NumberPool(6, 2, HighestStart())
    assert [pool.allocate() for _ in range(6)] == [5, 2, 3, 4, 1, 0]


def test_withheld_numbers_are_given_only_by_name() -> None:
    pool = NumberPool(3, 0, Random(1), frozenset({1}))
    assert {pool.allocate(), pool.allocate()} == {0, 2}
    with pytest.raises(RangeFullError):
        pool.allocate()
    assert pool.take(1)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("allocate"), st.just(0)),
        st.tuples(st.sampled_from(["take", "release"]), st.integers(0, 19)),
    ),
    max_size=60,
)


@given(steps=STEPS, static=st.integers(0, 20), seed=st.integers(0, 9))
def test_agrees_with_a_set(steps: list[tuple[str, int]], static: int, seed: int) -> None:
    pool, free = NumberPool(20, static, Random(seed)), set(range(20))
    for step, number in steps:
        if step == "take":
            assert pool.take(number) == (number in free)
            free.discard(number)
        elif step == "release":
            pool.release(number)
            free.add(number)
        elif free:
            allocated = pool.allocate()
            upper = {candidate for candidate in free if candidate >= static}
            assert allocated in (upper or free)
            free.remove(allocated)
        else:
            with pytest.raises(RangeFullError):
                pool.allocate()
