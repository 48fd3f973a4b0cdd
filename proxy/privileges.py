"""What a process may do beyond an ordinary one's, and how it lets go of that (capabilities(7), prctl(2)).

Invariant: what was let go of never comes back, for this process and for all that it starts. A process that may do no
more than others is left as it is.
"""

import ctypes
import enum
import os
import pwd
from collections.abc import Iterable
from pathlib import Path

_STATUS = "/proc/{}/status"
_VERSION = 0x20080522
"""_LINUX_CAPABILITY_VERSION_3 of include/uapi/linux/capability.h."""
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4


class Capability(enum.IntEnum):
    """Those that the proxy has a use for, by their numbers in include/uapi/linux/capability.h."""

    DAC_OVERRIDE = 1
    DAC_READ_SEARCH = 2
    KILL = 5
    SETGID = 6
    SETUID = 7
    SETPCAP = 8
    NET_BIND_SERVICE = 10
    NET_ADMIN = 12
    SYS_PTRACE = 19
    SYS_ADMIN = 21
    PERFMON = 38
    BPF = 39


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Set(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]


def held(pid: int | None = None) -> frozenset[int]:
    """The numbers of the capabilities that a process has in force, this one by default; empty for one that is gone."""
    try:
        text = Path(_STATUS.format("self" if pid is None else pid)).read_text()
    except OSError:
        return frozenset()
    (mask,) = (int(line.split()[1], 16) for line in text.splitlines() if line.startswith("CapEff:"))
    return frozenset(number for number in range(64) if mask >> number & 1)


def user_of(pid: int) -> str:
    """The name, or else the number, of the user that a process runs as; empty for one that is gone."""
    try:
        text = Path(_STATUS.format(pid)).read_text()
    except OSError:
        return ""
    (number,) = (int(line.split()[2]) for line in text.splitlines() if line.startswith("Uid:"))
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def names_of(capabilities: Iterable[int]) -> tuple[str, ...]:
    """As people write them, `net_bind_service`; those that the proxy has no use for by number."""
    known = {int(each): each.name.lower() for each in Capability}
    return tuple(known.get(number, f"capability {number}") for number in sorted(capabilities))


def restrict(kept: Iterable[Capability], user: str = "") -> None:
    """Keep of what this process may do only `kept`, and become `user` if it may. Call it before there are threads: it
    holds for the calling one, and for what that starts. Raises OSError where the kernel refuses, KeyError for a user
    that is not there."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = held()
    remaining = frozenset(map(int, kept)) & before
    if Capability.SETPCAP in before:
        for number in range(64):
            if number not in remaining and libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
                break
    if user and os.geteuid() == 0 and Capability.SETUID in before:
        _call(libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0))
        entry = pwd.getpwnam(user)
        os.setgroups([])
        os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
        os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    if before:
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
        _keep(libc, remaining)
    _call(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def _keep(libc: ctypes.CDLL, capabilities: frozenset[int]) -> None:
    mask = sum(1 << number for number in capabilities)
    sets = (_Set * 2)(*(_Set(part, part, 0) for part in (mask & 0xFFFFFFFF, mask >> 32)))
    _call(libc.capset(ctypes.byref(_Header(_VERSION, 0)), sets))


def _call(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
