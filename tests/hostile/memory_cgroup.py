"""A memory cgroup of a test's own, of version 1 or 2, for a process that is started in it.

Invariant: the cgroup is empty and gone when its block ends.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.harness.eventually import eventually

_ROOT = Path("/sys/fs/cgroup")


class MemoryCgroup:
    """`under` starts a command in the cgroup. Limits are bytes; version 1 counts the memory of sockets apart."""

    def __init__(self, path: Path, is_v2: bool) -> None:
        self._path = path
        self._is_v2 = is_v2
        self.under = ("sh", "-c", f'echo $$ > {path}/cgroup.procs && exec "$@"', "sh")

    def limit(self, size: int) -> None:
        """From now on no more memory than this, or somebody in the cgroup is killed."""
        self._write("memory.max" if self._is_v2 else "memory.limit_in_bytes", size)

    def limit_sockets(self, size: int) -> None:
        """From now on no more memory for TCP's buffers than this; of version 2, no more than the whole limit."""
        if self._is_v2:
            pytest.skip("this cgroup version has no limit for sockets alone")
        self._write("memory.kmem.tcp.limit_in_bytes", size)

    @property
    def used(self) -> int:
        """Bytes in use."""
        name = "memory.current" if self._is_v2 else "memory.usage_in_bytes"
        return int((self._path / name).read_text())

    @property
    def kills(self) -> int:
        """How many processes were killed for want of memory."""
        text = (self._path / ("memory.events" if self._is_v2 else "memory.oom_control")).read_text()
        return int(dict(line.split() for line in text.splitlines())["oom_kill"])

    def _write(self, name: str, size: int) -> None:
        try:
            (self._path / name).write_text(str(size))
        except OSError as error:
            pytest.skip(f"not permitted: to set {name} ({error})")


@contextmanager
def memory_cgroup() -> Iterator[MemoryCgroup]:
    """A new one below the cgroup of this process; the test is skipped where none may be made."""
    parent, is_v2 = _own_cgroup()
    path = parent / f"svcproxy-hostile-{os.getpid()}"
    try:
        path.mkdir()
    except OSError as error:
        pytest.skip(f"not permitted: a memory cgroup ({error})")
    try:
        if not (path / ("memory.max" if is_v2 else "memory.limit_in_bytes")).exists():
            pytest.skip("memory is not delegated to cgroups here")
        yield MemoryCgroup(path, is_v2)
        eventually(lambda: not (path / "cgroup.procs").read_text(), "the cgroup empty")
    finally:
        path.rmdir()


def _own_cgroup() -> tuple[Path, bool]:
    """The directory of this process's memory cgroup, and whether it is of version 2."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return _ROOT / "memory" / path.lstrip("/"), False
        if not controllers and (_ROOT / "cgroup.controllers").exists():
            return _ROOT / path.lstrip("/"), True
    pytest.skip("no memory cgroups here")
