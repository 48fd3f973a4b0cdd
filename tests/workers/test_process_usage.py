"""What a process has used, of one that is there and one that is not."""

import os
import time

from proxy.workers.process_usage import Usage, usage_of


def test_a_process_has_used_time_and_memory() -> None:
    while time.process_time() < 0.05:
        sum(range(1000))
    usage = usage_of(os.getpid())
    assert usage.cpu_seconds >= 0.04
    assert usage.memory_bytes > 1_000_000


def test_a_process_that_is_gone_has_used_nothing() -> None:
    assert usage_of(2**22 + 1) == Usage()
