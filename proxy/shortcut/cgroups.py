"""Which cgroup the shortcut is attached to, and what it needs of the machine.

Invariant: reads only. What is missing is one line that names it and the way out.
"""

import os
import platform
import re
from collections.abc import Iterator
from pathlib import Path

from proxy.startup_error import StartupError

MOUNTS = Path("/proc/self/mountinfo")
OWN_CGROUP = Path("/proc/self/cgroup")
STATUS = Path("/proc/self/status")
LEAST_KERNEL = (5, 18)
"""bpf_set_retval, by which a connect without an endpoint is refused."""

_CAP_NET_ADMIN, _CAP_SYS_ADMIN, _CAP_BPF = 12, 21, 39


class UnavailableError(StartupError):
    """The shortcut cannot be had on this machine; the message says why and what to do."""


def check_machine() -> None:
    """Raises UnavailableError where the kernel is too old or a capability is missing."""
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    if found and tuple(map(int, found.groups())) < LEAST_KERNEL:
        needed = ".".join(map(str, LEAST_KERNEL))
        raise UnavailableError(f"shortcut: it needs Linux {needed} or newer, and this is {platform.release()}")
    held = _capabilities()
    missing = [
        name
        for name, number in (("CAP_BPF", _CAP_BPF), ("CAP_NET_ADMIN", _CAP_NET_ADMIN))
        if not held >> number & 1 and not (number == _CAP_BPF and held >> _CAP_SYS_ADMIN & 1)
    ]
    if missing:
        raise UnavailableError(
            f"shortcut: it needs {' and '.join(missing)}: run as root, or grant them (systemd: "
            "AmbientCapabilities=CAP_BPF CAP_NET_ADMIN; Kubernetes: securityContext.capabilities.add: [BPF, NET_ADMIN])"
        )


def candidates(wanted: str) -> tuple[Path, ...]:
    """The directories of cgroup v2 to try, the one that covers most clients first. `wanted` is "auto" or a directory.

    Raises UnavailableError where there is none.
    """
    if wanted != "auto":
        return (_named(wanted),)
    mount = cgroup2_mount()
    if mount is None:
        raise UnavailableError("shortcut: no cgroup v2 is mounted (mount -t cgroup2 none /sys/fs/cgroup/unified)")
    return tuple(dict.fromkeys((mount, *_on_the_way_down(mount))))


def cgroup2_mount() -> Path | None:
    """Where cgroup v2 is mounted, alone or beside v1; None where it is not.

    In a container that has the host's mount beside its own, that is the host's: its root lies above this namespace's.
    """
    found = list(_cgroup2_mounts())
    return max(found, key=lambda each: each[0].count(".."))[1] if found else None


def _cgroup2_mounts() -> Iterator[tuple[str, Path]]:
    """The root of each mount, as this process's cgroup namespace sees it, and where it is mounted."""
    for line in MOUNTS.read_text().splitlines():
        fields, _, rest = line.partition(" - ")
        if rest.startswith("cgroup2 "):
            _, _, _, root, place, *_ = fields.split()
            yield root, Path(place.encode().decode("unicode_escape"))


def _named(wanted: str) -> Path:
    path = Path(wanted)
    if not path.is_dir():
        raise UnavailableError(
            f"shortcut: {wanted}: there is no such directory: name one below a cgroup v2 mount, or auto"
        )
    mount = cgroup2_mount()
    if not any(path.resolve().is_relative_to(place) for _, place in _cgroup2_mounts()):
        where = f"below {mount}" if mount is not None else "and none is mounted"
        raise UnavailableError(f"shortcut: {wanted}: is no cgroup v2 directory: name one {where}, or auto")
    return path


def _on_the_way_down(mount: Path) -> Iterator[Path]:
    """The cgroups between the mount and this process's own, the outermost first."""
    for line in OWN_CGROUP.read_text().splitlines():
        if line.startswith("0::/"):
            place = mount
            for part in Path(line[4:]).parts:
                place /= part
                if part != ".." and place.is_dir():
                    yield place


def _capabilities() -> int:
    """The effective set of this process, a bit each."""
    for line in STATUS.read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return -1 if os.geteuid() == 0 else 0
