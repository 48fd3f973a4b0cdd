"""An address of its own for every test that listens."""

import os
from itertools import count

import pytest

_numbers = count(1)


@pytest.fixture
def address() -> str:
    """An address in 127/8 that no other test uses, even in another run beside this one."""
    number = next(_numbers)
    return f"127.60.{os.getpid() % 250}.{number}"
