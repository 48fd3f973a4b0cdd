"""Bytes for people."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.reports.human_bytes import human_bytes


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.0Ki"),
        (1024, "1.0Ki"),
        (1536, "1.5Ki"),
        (10189, "10Ki"),
        (999 * 1024, "999Ki"),
        (1000 * 1024, "1.0Mi"),
        (5 * 1024**4, "5.0Ti"),
        (0.4, "0"),
    ],
)
def test_a_number_has_its_unit(number: float, text: str) -> None:
    assert human_bytes(number) == text


@given(st.integers(0, 2**63))
def test_it_is_short_and_nearly_right(number: int) -> None:
    text = human_bytes(number)
    assert len(text) <= 6
    digits = text.rstrip("KMGTPEi")
    factor = 1024 ** ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei").index(text.removeprefix(digits))
    assert abs(float(digits) * factor - number) <= max(0.5, 0.06 * number)
