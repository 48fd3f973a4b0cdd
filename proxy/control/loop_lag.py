"""How late the control process comes to what is due.

Invariant: one timer, once a second: all that wakes an idle control process often.
"""

import asyncio
from collections.abc import Callable

INTERVAL = 1.0
"""Seconds between two samples."""


async def measure_lag(observe: Callable[[float], None]) -> None:
    """Tell `observe` the seconds that each turn of a timer was late, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + INTERVAL
        await asyncio.sleep(INTERVAL)
        observe(max(0.0, loop.time() - due))
