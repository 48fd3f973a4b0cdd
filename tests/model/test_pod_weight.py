"""The weight label."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.pod_weight import WEIGHT_LABEL, pod_weight


def test_a_pod_without_the_label_has_no_weight_of_its_own() -> None:
    assert pod_weight({"app": "web"}) is None


@given(st.integers(0, 65535))
def test_reads_every_weight_of_the_range(weight: int) -> None:
    assert pod_weight({WEIGHT_LABEL: str(weight)}) == weight


@pytest.mark.parametrize("text", ["", "-1", "65536", "1.5", "heavy", "1 ", "+1", "٣", "1_000", "9" * 5000])
def test_refuses_what_is_not_an_integer_of_the_range(text: str) -> None:
    assert pod_weight({WEIGHT_LABEL: text}) is None
