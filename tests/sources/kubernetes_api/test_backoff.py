"""Delays stay within their bounds, and grow."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from proxy.sources.kubernetes_api.backoff import Backoff


@given(st.integers(), st.integers(1, 60))
def test_every_delay_is_within_the_bounds(seed: int, failures: int) -> None:
    backoff = Backoff(0.5, 30.0, Random(seed))
    assert all(0.5 <= backoff.next() <= 30.0 for _ in range(failures))


def test_the_delays_grow_to_the_longest_and_start_again_after_a_reset() -> None:
    def averages(after_reset: bool) -> list[float]:
        series = [Backoff(0.5, 30.0, Random(seed)) for seed in range(200)]
        first = [sum(each.next() for each in series) / len(series) for _ in range(12)]
        if not after_reset:
            return first
        for each in series:
            each.reset()
        return [sum(each.next() for each in series) / len(series)]

    growing = averages(after_reset=False)
    assert growing[0] < growing[2] < growing[5]
    assert max(growing) > 15
    assert averages(after_reset=True)[0] < 1.5


def test_two_that_failed_together_do_not_come_back_together() -> None:
    assert Backoff(0.5, 30.0, Random(1)).next() != Backoff(0.5, 30.0, Random(2)).next()
