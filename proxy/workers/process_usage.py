"""What a process has used of the machine: processor time and memory, as /proc tells it (proc(5)).

Invariant: a process that is gone has used nothing, so that a scrape never fails for it.
"""

import os
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_USER_TIME, _RESIDENT = 11, 1
"""Fields behind the command's name in /proc/PID/stat, and in /proc/PID/statm."""


class Usage(NamedTuple):
    """Processor time in seconds, user and system, and resident memory in bytes."""

    cpu_seconds: float = 0.0
    memory_bytes: int = 0


def usage_of(pid: int) -> Usage:
    """All zero for a process that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat, open(f"/proc/{pid}/statm", "rb") as statm:
            fields = stat.read().rpartition(b") ")[2].split()
            pages = int(statm.read().split()[_RESIDENT])
    except (OSError, ValueError, IndexError):
        return Usage()
    return Usage((int(fields[_USER_TIME]) + int(fields[_USER_TIME + 1])) / _TICKS, pages * _PAGE)
