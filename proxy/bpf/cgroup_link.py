"""Attaches programs to a cgroup, by links that end with their descriptor unless they are pinned.

Invariant: nothing stays attached that is neither held by this process nor pinned.
"""

import ctypes
import enum
import struct

from proxy.bpf.system_call import Command, bpf


class Hook(enum.IntEnum):
    """Where on a cgroup a program runs (include/uapi/linux/bpf.h, enum bpf_attach_type)."""

    SOCK_OPS = 3
    CONNECT4 = 10
    CONNECT6 = 11
    SENDMSG4 = 14
    SENDMSG6 = 15
    RECVMSG4 = 19
    RECVMSG6 = 20
    GETPEERNAME4 = 29
    GETPEERNAME6 = 30
    RELEASE = 34


_SOCK, _SOCK_OPS, _SOCK_ADDR = 9, 13, 18  # enum bpf_prog_type


def program_type(hook: Hook) -> int:
    """The type that a program for this hook has."""
    return {Hook.SOCK_OPS: _SOCK_OPS, Hook.RELEASE: _SOCK}.get(hook, _SOCK_ADDR)


def link_to_cgroup(program: int, cgroup: int, hook: Hook) -> int:
    """The descriptor of the link; `cgroup` is an open directory of cgroup v2. Raises BpfError (Linux 5.7)."""
    attributes = struct.pack("<IIII", program, cgroup, hook, 0)
    return bpf(Command.LINK_CREATE, attributes, f"attach the BPF program {hook.name.lower()} to the cgroup")


def replace_program(link: int, program: int) -> None:
    """Put another program into a link, in one step: a caller meets the old one or the new one. Raises BpfError."""
    bpf(Command.LINK_UPDATE, struct.pack("<IIII", link, program, 0, 0), "replace the BPF program of a link")


def pin(descriptor: int, path: str) -> None:
    """Keep a link or map at a path of a bpffs, beyond the end of this process. Raises BpfError."""
    name = ctypes.create_string_buffer(path.encode())
    bpf(Command.OBJECT_PIN, struct.pack("<QII", ctypes.addressof(name), descriptor, 0), f"pin {path}")


def open_pinned(path: str) -> int:
    """The descriptor of what is pinned there. Raises BpfError."""
    name = ctypes.create_string_buffer(path.encode())
    return bpf(Command.OBJECT_GET, struct.pack("<QII", ctypes.addressof(name), 0, 0), f"open {path}")
