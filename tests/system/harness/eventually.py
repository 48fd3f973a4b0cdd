"""Waiting for what a running program must come to show.

Invariant: it looks again and again until a deadline, and says what was missing then; nothing else in these tests waits
for time to pass.
"""

import time
from collections.abc import Callable
from typing import TypeVar

from tests.system.harness.process import PATIENCE

_PAUSE = 0.01

Shown = TypeVar("Shown")


def eventually(look: Callable[[], Shown], what: str, timeout: float = PATIENCE) -> Shown:
    """The first true result of `look`. Raises AssertionError, naming `what`, if there is none in `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (shown := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"never came: {what}; at last: {shown!r}")
        time.sleep(_PAUSE)
    return shown
