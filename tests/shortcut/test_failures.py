"""Failures: out for as long as the relay would leave an endpoint out, and no longer."""

from proxy.shortcut.failures import Failures

PLACE = ("10.0.0.1", 80)


def out_for(failures: Failures, now: float) -> float:
    """How long the endpoint is left out from now on, to an eighth of a second."""
    eighths = next(number for number in range(10_000) if not failures.of("web", now + number / 8))
    return eighths / 8


def test_each_refusal_in_a_row_doubles_the_time_up_to_half_a_minute() -> None:
    failures, now = Failures(), 0.0
    seen = []
    for _ in range(7):
        failures.failed("web", PLACE, 0, now)
        seen.append(out_for(failures, now))
        now += seen[-1]
    assert seen == [1, 2, 4, 8, 16, 30, 30]


def test_connections_in_between_begin_it_anew() -> None:
    failures = Failures()
    failures.failed("web", PLACE, 5, 0.0)
    failures.failed("web", PLACE, 5, 1.0)
    failures.failed("web", PLACE, 6, 10.0)
    assert out_for(failures, 10.0) == 1


def test_refusals_of_one_moment_count_once() -> None:
    failures = Failures()
    for _ in range(50):
        failures.failed("web", PLACE, 0, 0.0)
    assert out_for(failures, 0.0) == 1


def test_the_pool_is_named_when_the_time_is_over() -> None:
    failures = Failures()
    failures.failed("web", PLACE, 0, 0.0)
    assert list(failures.over(0.0, 0.9)) == []
    assert list(failures.over(0.9, 1.0)) == ["web"]
    assert list(failures.over(1.0, 2.0)) == []


def test_an_endpoint_that_has_left_is_forgotten() -> None:
    failures = Failures()
    failures.failed("web", PLACE, 0, 0.0)
    failures.keep("web", [("10.0.0.2", 80)])
    assert failures.of("web", 0.0) == frozenset()
    failures.keep("other", [])
