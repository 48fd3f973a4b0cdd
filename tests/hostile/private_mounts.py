"""A small file system that one program alone sees, in a mount namespace of its own.

Invariant: it goes with the program; nothing is mounted on the machine.
"""

import contextlib
import errno
import os
import subprocess
from pathlib import Path

import pytest

from tests.system.harness.svcproxy import Svcproxy

_MOUNT = 'mount -t tmpfs -o size={size}k none "{path}" && exec "$@"'


class SmallDisk:
    """`size` KiB at `path`, for the program that is started `under` it."""

    def __init__(self, path: Path, size: int) -> None:
        path.mkdir()
        self.path = path
        script = _MOUNT.format(size=size, path=path)
        self.under = ("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh")

    def within(self, proxy: Svcproxy) -> Path:
        """The path by which this process reaches what the program sees."""
        return Path(f"/proc/{proxy.pid}/root{self.path}")

    def fill(self, proxy: Svcproxy) -> None:
        """Leave no room at all."""
        with (self.within(proxy) / "ballast").open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def make_room(self, proxy: Svcproxy) -> None:
        """As much as before it was filled."""
        (self.within(proxy) / "ballast").unlink()


def small_disk(path: Path, size: int) -> SmallDisk:
    """The test is skipped where nothing may be mounted."""
    disk = SmallDisk(path, size)
    tried = subprocess.run([*disk.under, "true"], capture_output=True, timeout=20, check=False)
    if tried.returncode != 0:
        pytest.skip(f"not permitted: {os.strerror(errno.EPERM)}, a mount ({tried.stderr.decode().strip()})")
    return disk
