"""What the relays of a worker may hold for slow readers."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.buffers import Buffers


@given(st.lists(st.integers(-60, 60)))
def test_it_is_full_at_its_capacity_and_scarce_at_half_of_it(steps: list[int]) -> None:
    buffers = Buffers(100)
    held = 0
    for step in steps:
        difference = max(step, -held)
        held += difference
        buffers.change(difference)
        assert (buffers.held, buffers.is_scarce, buffers.is_full) == (held, held >= 50, held >= 100)
