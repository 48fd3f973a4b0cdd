"""An address of its own for every test that listens."""

import pytest

from tests.lane import this_lane


@pytest.fixture
def address() -> str:
    """An address in 127/8 that no other test uses, even in another run beside this one."""
    return f"{this_lane().network()}.1"
