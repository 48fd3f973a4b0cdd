"""Durations against Go's documented examples, and against a model that adds units up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.duration import parse_duration

UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("+0", 0),
        ("300ms", 0.3),
        ("1h30m", 5400),
        ("10s", 10),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("1.s", 1),
        ("+5m", 300),
        ("2m0.5s", 120.5),
    ],
)
def test_reads_what_go_reads(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "-5s", "-0", "s", "1d", "1h 30m", " 1s", "1s\n", ".s", "1,5s", "1e3s", "٣s", "10000000000s"]
)
def test_refuses_anything_else_with_a_way_out(text: str) -> None:
    with pytest.raises(ValueError, match="invalid duration") as caught:
        parse_duration(text)
    assert str(caught.value) == f'invalid duration "{text}": use for example 30s, 5m or 1h30m'


@given(st.lists(st.tuples(st.integers(0, 1000), st.sampled_from(sorted(UNITS))), min_size=1, max_size=5))
def test_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    nanoseconds = sum(number * UNITS[unit] for number, unit in parts)
    assert parse_duration("".join(f"{number}{unit}" for number, unit in parts)) == pytest.approx(nanoseconds / 1e9)


@given(st.text())
def test_raises_nothing_but_value_error(text: str) -> None:
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert seconds >= 0
