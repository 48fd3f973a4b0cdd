"""How much of the machine the workers take unless the configuration says: their number, and memory for slow readers.

Reads the CPU affinity, the machine's memory, and the limits of the process's cgroup and of those above it (v2;
Documentation/admin-guide/cgroup-v2.rst, cpu.max and memory.max). Invariant: at least one worker; a quota of half a core
counts as one.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_BUFFER_SHARE = 4
"""One part in so many of the memory may be held for slow readers."""
_LEAST_BUFFER = 4 * 1024 * 1024
_MOST_BUFFER = 1024 * 1024 * 1024


def default_workers(membership: Path = _MEMBERSHIP, mount: Path = _MOUNT) -> int:
    """The number of cores by affinity, or by the tightest quota above this process if that is less."""
    quotas = (quota for directory in _groups(membership, mount) for quota in _quota(directory / "cpu.max"))
    return min([len(os.sched_getaffinity(0)), *quotas])


def default_buffer_bytes(workers: int, membership: Path = _MEMBERSHIP, mount: Path = _MOUNT) -> int:
    """How many bytes one of so many workers may hold for slow readers: its part of a quarter of the memory that the
    tightest cgroup above this process allows, or that the machine has."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = (limit for directory in _groups(membership, mount) for limit in _bytes(directory / "memory.max"))
    share = min([machine, *limits]) // _BUFFER_SHARE // max(1, workers)
    return max(_LEAST_BUFFER, min(_MOST_BUFFER, share))


def _groups(membership: Path, mount: Path) -> Iterator[Path]:
    """The cgroup of this process and those above it, as far as they are to be seen."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        hierarchy, _, path = line.partition("::")
        if hierarchy == "0":
            group = mount / path.lstrip("/")
            yield group
            yield from (parent for parent in group.parents if parent == mount or mount in parent.parents)


def _quota(file: Path) -> Iterator[int]:
    """Whole cores that the file `QUOTA PERIOD` allows, rounded up; nothing for "max" or where there is no such file."""
    try:
        quota, period = file.read_text().split()
        yield max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return


def _bytes(file: Path) -> Iterator[int]:
    """The number in the file; nothing for "max" or where there is no such file."""
    try:
        yield int(file.read_text())
    except (OSError, ValueError):
        return
