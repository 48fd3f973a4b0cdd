"""Numbers and stretches: never two holders, never anew before the grace is over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.shortcut.numbers import GRACE, Numbers, OutOfNumbersError, Stretches


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 2 * GRACE)), max_size=60))
def test_a_number_has_one_holder_and_comes_back_after_the_grace(steps: list[tuple[bool, float]]) -> None:
    numbers, now = Numbers(8), 0.0
    held: list[int] = []
    returned: dict[int, float] = {}
    for takes, seconds in steps:
        now += seconds
        if takes:
            try:
                number = numbers.take(now)
            except OutOfNumbersError:
                assert len(held) + sum(now < at + GRACE for at in returned.values()) == 8
                continue
            assert number not in held
            assert 0 <= number < numbers.used <= 8
            assert returned.pop(number, -GRACE) + GRACE <= now
            held.append(number)
        elif held:
            number = held.pop(0)
            numbers.put_back(number, now)
            returned[number] = now


@given(st.lists(st.tuples(st.integers(1, 9), st.floats(0, 2 * GRACE)), max_size=40))
def test_stretches_do_not_overlap(steps: list[tuple[int, float]]) -> None:
    stretches, now = Stretches(64), 0.0
    held: list[tuple[int, int]] = []
    for length, seconds in steps:
        now += seconds
        if length == 9 and held:
            stretches.put_back(*held.pop(0), now)
            continue
        try:
            first = stretches.take(length, now)
        except OutOfNumbersError:
            continue
        taken = set(range(first, first + length))
        assert all(taken.isdisjoint(range(at, at + size)) for at, size in held)
        assert max(taken) < 64
        held.append((first, length))


def test_a_stretch_that_is_too_long_is_refused() -> None:
    with pytest.raises(OutOfNumbersError):
        Stretches(64).take(65, 0.0)
