"""How many workers there are unless the configuration says: one for each core that the process may use.

Imports nothing of ours. Reads the CPU affinity and the quota of the process's cgroup (v2; Documentation/admin-guide/
cgroup-v2.rst, cpu.max). Invariant: at least one; a quota of half a core counts as one.
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")


def default_workers(membership: Path = _MEMBERSHIP, mount: Path = _MOUNT) -> int:
    """The number of cores by affinity, or by the tightest quota above this process if that is less."""
    quotas = (quota for directory in _groups(membership, mount) for quota in _quota(directory / "cpu.max"))
    return min([len(os.sched_getaffinity(0)), *quotas])


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
