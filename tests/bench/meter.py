"""Meter: processor time and memory of processes, from the kernel's own accounting.

Imports the standard library and psutil. Invariant: a figure covers user and system time of every process and thread
named, to the nanosecond that the scheduler counts, and no process outside the list.
"""

import resource
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

CPUCLOCK_SCHED = 2


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time that these processes have used since they began.

    Reads the processes' CPU clocks; the id is what clock_getcpuclockid(3) computes (include/linux/posix-timers.h).
    Unlike /proc/PID/stat it does not round to ticks, unlike /proc/PID/schedstat it covers ended threads.
    """
    return sum(time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED) for pid in pids)


def resident_bytes(pids: Iterable[int]) -> int:
    """Resident memory of these processes; what the kernel holds for their sockets is not in it."""
    return sum(_resident_kibibytes(pid) for pid in pids) * 1024


def _resident_kibibytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1])
    raise ValueError(f"/proc/{pid}/smaps_rollup has no Rss line")


def _machine_seconds() -> float:
    times = psutil.cpu_times()
    return sum((times.user, times.nice, times.system, times.irq, times.softirq, times.steal))


class Meter:
    """Measures a `with` block: `wall`, and processor seconds of the proxy and of everything that loads it.

    The load is the backends, this process, and the children that it starts and reaps within the block. `others` is
    what the rest of the machine used meanwhile, to the tick: on a quiet one next to nothing.
    """

    def __init__(self, proxy_pids: tuple[int, ...], backend_pids: tuple[int, ...]) -> None:
        self.proxy_pids = proxy_pids
        self.backend_pids = backend_pids
        self.wall = 0.0
        self.proxy = 0.0
        self.load = 0.0
        self.machine = 0.0

    @property
    def others(self) -> float:
        return max(0.0, self.machine - self.proxy - self.load)

    def __enter__(self) -> Self:
        self._add(-1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._add(1)

    def _add(self, sign: int) -> None:
        reaped = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.load += sign * (cpu_seconds(self.backend_pids) + time.process_time() + reaped.ru_utime + reaped.ru_stime)
        self.proxy += sign * cpu_seconds(self.proxy_pids)
        self.machine += sign * _machine_seconds()
        self.wall += sign * time.perf_counter()
