"""bpf(2), which no library of Python's standard has.

Invariant: a failure raises BpfError and never passes for a descriptor; descriptors that come from here are closed on
exec, as the kernel makes them.
"""

import ctypes
import enum
import errno
import platform

from proxy.bpf.bpf_error import BpfError

# arch/*/include/.../unistd: __NR_bpf of the little-endian 64-bit machines.
_NUMBERS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "loongarch64": 280, "ppc64le": 361}
_ATTEMPTS = 5

_libc = ctypes.CDLL(None, use_errno=True)


class Command(enum.IntEnum):
    """include/uapi/linux/bpf.h, enum bpf_cmd."""

    MAP_CREATE = 0
    MAP_LOOKUP_ELEMENT = 1
    MAP_UPDATE_ELEMENT = 2
    MAP_DELETE_ELEMENT = 3
    PROGRAM_LOAD = 5
    OBJECT_PIN = 6
    OBJECT_GET = 7
    PROGRAM_QUERY = 16
    BTF_LOAD = 18
    MAP_UPDATE_BATCH = 26
    LINK_CREATE = 28
    LINK_UPDATE = 29


def bpf(command: Command, attributes: bytes | ctypes.Array[ctypes.c_char], doing: str) -> int:
    """Call the kernel with the bytes of union bpf_attr; gives what it returns, a descriptor or zero.

    Attributes that the kernel writes to must be a buffer. Raises BpfError, whose text begins with `doing`.
    """
    number = _NUMBERS.get(platform.machine())
    if number is None:
        raise BpfError(doing, errno.ENOSYS, f"not known how to on {platform.machine()} (known: {', '.join(_NUMBERS)})")
    size = len(attributes)
    buffer = ctypes.create_string_buffer(attributes, size) if isinstance(attributes, bytes) else attributes
    for _ in range(_ATTEMPTS):
        result = _libc.syscall(number, int(command), buffer, size)
        if result >= 0:
            return int(result)
        # The verifier gives way to a pending signal.
        if ctypes.get_errno() not in (errno.EAGAIN, errno.EINTR):
            break
    raise BpfError(doing, ctypes.get_errno())
