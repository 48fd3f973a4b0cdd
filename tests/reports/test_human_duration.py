"""Ages as kubectl prints them; the rows are those of apimachinery's own duration_test.go, and the edges between."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.reports.human_duration import age, human_duration

MINUTE, HOUR, DAY = 60, 3600, 86400
YEAR = 365 * DAY
UNITS = {"s": 1, "m": MINUTE, "h": HOUR, "d": DAY, "y": YEAR}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.9, "0s"),
        (1, "1s"),
        (45, "45s"),
        (70, "70s"),
        (119, "119s"),
        (2 * MINUTE, "2m"),
        (2 * MINUTE + 5, "2m5s"),
        (9 * MINUTE + 59, "9m59s"),
        (10 * MINUTE, "10m"),
        (10 * MINUTE + 59, "10m"),
        (179 * MINUTE, "179m"),
        (3 * HOUR, "3h"),
        (3 * HOUR + 20 * MINUTE, "3h20m"),
        (7 * HOUR + 59 * MINUTE, "7h59m"),
        (8 * HOUR, "8h"),
        (47 * HOUR + 59 * MINUTE, "47h"),
        (2 * DAY, "2d"),
        (2 * DAY + 3 * HOUR, "2d3h"),
        (7 * DAY + 23 * HOUR, "7d23h"),
        (8 * DAY, "8d"),
        (8 * DAY + 23 * HOUR, "8d"),
        (729 * DAY, "729d"),
        (2 * YEAR, "2y"),
        (2 * YEAR + 25 * HOUR, "2y1d"),
        (8 * YEAR - HOUR, "7y364d"),
        (8 * YEAR, "8y"),
        (30 * YEAR + 200 * DAY, "30y"),
        (-1, "0s"),
        (-1.9, "0s"),
        (-2, "<invalid>"),
    ],
)
def test_reads_as_kubectl_has_it(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text


@given(st.integers(0, 100 * YEAR))
def test_is_never_longer_than_the_truth_and_misses_less_than_its_last_unit(seconds: int) -> None:
    parts = re.findall(r"(\d+)([smhdy])", human_duration(seconds))
    assert len(parts) in {1, 2}
    told = sum(int(number) * UNITS[letter] for number, letter in parts)
    assert told <= seconds < told + UNITS[parts[0][1]]


@given(st.integers(0, 100 * YEAR), st.integers(0, YEAR))
def test_an_older_age_never_reads_as_younger(younger: int, by: int) -> None:
    def told(seconds: int) -> int:
        return sum(int(number) * UNITS[letter] for number, letter in re.findall(r"(\d+)(\w)", human_duration(seconds)))

    assert told(younger) <= told(younger + by)


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        ("1970-01-01T00:00:00Z", "60s"),
        ("1970-01-01T01:00:00+01:00", "60s"),
        ("1970-01-01T00:00:00", "60s"),
        ("1970-01-01T00:00:30.500000Z", "29s"),
        ("", "<unknown>"),
        ("yesterday", "<unknown>"),
    ],
)
def test_an_age_is_counted_from_a_timestamp(timestamp: str, text: str) -> None:
    assert age(timestamp, 60) == text
