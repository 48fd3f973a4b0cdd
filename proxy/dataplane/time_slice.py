"""The worker's time slice: how soon it gets a core that others use as well.

Linux from 6.12 on (EEVDF) lets a task ask for a slice of its own, without any privilege: a shorter one takes no more of
the core, but its turn comes sooner, so that a request does not wait until whoever computes there has had its full slice
(milliseconds). Invariant: nothing else of how the process is scheduled changes, and a kernel that does not know of it,
or forbids it, is no error.
"""

import ctypes
import os
import struct

SHORTEST = 100_000
"""Nanoseconds; the kernel takes nothing below (kernel/sched/syscalls.c, __setparam_fair)."""

_NUMBERS = {
    "x86_64": (314, 315),
    "aarch64": (274, 275),
    "riscv64": (274, 275),
    "loongarch64": (274, 275),
    "ppc64le": (355, 356),
}
"""sched_setattr and sched_getattr, arch/*/include/.../unistd."""
_ATTRIBUTES = struct.Struct("@IIQiIQQQII")
"""struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period, and two hints of utilization."""
_RUNTIME = 5
_FAIR_POLICIES = (0, 3)
"""SCHED_OTHER and SCHED_BATCH; runtime means something else to the others."""

_libc = ctypes.CDLL(None, use_errno=True)


def shorten_slice() -> int:
    """Ask for the shortest slice for the calling thread; gives the slice it has then in nanoseconds, 0 if unknown."""
    set_attributes, get_attributes = _NUMBERS.get(os.uname().machine, (-1, -1))
    attributes = _attributes(get_attributes)
    if attributes is None or attributes[1] not in _FAIR_POLICIES:
        return 0
    wanted = _ATTRIBUTES.pack(*attributes[:_RUNTIME], SHORTEST, *attributes[_RUNTIME + 1 :])
    _libc.syscall(set_attributes, 0, ctypes.create_string_buffer(wanted, len(wanted)), 0)
    attributes = _attributes(get_attributes)
    return attributes[_RUNTIME] if attributes is not None else 0


def _attributes(call: int) -> tuple[int, ...] | None:
    """How the kernel schedules the calling thread; None if it does not say."""
    buffer = ctypes.create_string_buffer(_ATTRIBUTES.size)
    if _libc.syscall(call, 0, buffer, _ATTRIBUTES.size, 0) < 0:
        return None
    return _ATTRIBUTES.unpack(buffer.raw)
