"""Steering: which worker's socket a client meets, where that must always be the same.

The kernel spreads clients over the sockets of one address by address and port, so a client meets now this worker and
now that one. Where a Service keeps clients (ClientIP, or a scheduler that chooses by the source) a classic BPF program
chooses by the client's address alone; where a scheduler chooses by the destination, by that: its table or its memory is
one worker's, and one address shall mean one endpoint (net/core/sock_reuseport.c; SO_ATTACH_REUSEPORT_CBPF needs no
privilege). Invariant: the program's answer depends on the whole address and on nothing else, and is the place of a
socket in its group: the order in which they began to listen.
"""

import ctypes
import socket
import struct
from ipaddress import ip_address

from proxy.capture.source_filter import NETWORK_HEADER, instruction
from proxy.plan.frontend import Pool
from proxy.schedulers.registry import SCHEDULERS
from proxy.schedulers.scheduler import KeyedBy

ANY_WORKER = -1

# include/uapi/asm-generic/socket.h; the socket module does not have them.
_SO_ATTACH_REUSEPORT_CBPF = 51
_SO_DETACH_REUSEPORT_BPF = 68

# include/uapi/linux/bpf_common.h.
_LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_KEEP = 0x07  # BPF_MISC | BPF_TAX
_XOR_KEPT = 0xAC  # BPF_ALU | BPF_XOR | BPF_X
_MULTIPLY = 0x24  # BPF_ALU | BPF_MUL | BPF_K
_SHIFT_RIGHT = 0x74  # BPF_ALU | BPF_RSH | BPF_K
_MODULO = 0x94  # BPF_ALU | BPF_MOD | BPF_K
_RETURN_RESULT = 0x16  # BPF_RET | BPF_A

_GOLDEN = 0x9E3779B1
"""2**32 by the golden ratio (Knuth, The Art of Computer Programming, 6.4): neighbours end up far apart."""
_MASK = 0xFFFFFFFF


def steered_by(pool: Pool) -> KeyedBy:
    """Which address decides on the worker of a pool's flows, if any does."""
    return KeyedBy.SOURCE if pool.affinity_seconds else SCHEDULERS[pool.scheduler].keyed_by


def must_steer(pool: Pool) -> bool:
    """Whether a client of the pool must always meet the same worker."""
    return steered_by(pool) is KeyedBy.SOURCE


def steering_program(family: socket.AddressFamily, sockets: int, by: KeyedBy) -> bytes:
    """The program that chooses among so many sockets of one family, by the source's or the destination's address."""
    first, words = (12, 1) if family == socket.AF_INET else (8, 4)
    if by is KeyedBy.DESTINATION:
        first += 4 * words
    lines = []
    for word in range(words):
        lines.append(instruction(_LOAD_WORD, NETWORK_HEADER + first + 4 * word))
        if word:
            lines.append(instruction(_XOR_KEPT, 0))
        lines += [instruction(_MULTIPLY, _GOLDEN), instruction(_KEEP, 0)]
    # The upper bits of the product depend on all bits of the address, the lower ones on the lower alone.
    lines += [instruction(_SHIFT_RIGHT, 16), instruction(_MODULO, sockets), instruction(_RETURN_RESULT, 0)]
    return b"".join(lines)


def worker_of(client: str, pool: Pool, workers: int) -> int:
    """The worker that serves a client's flows to a pool, or ANY_WORKER where that depends on the client's port."""
    if workers == 1:
        return 0
    return steered_to(ip_address(client).packed, workers) if must_steer(pool) else ANY_WORKER


def steered_to(address: bytes, sockets: int) -> int:
    """What the program answers for a packed address."""
    product = 0
    for (word,) in struct.iter_unpack("!I", address):
        product = (word ^ product) * _GOLDEN & _MASK
    return (product >> 16) % sockets


def steer(sock: socket.socket, sockets: int, by: KeyedBy = KeyedBy.SOURCE) -> None:
    """Steer the group of `sock`, which has or will have so many members. Raises OSError."""
    program = steering_program(sock.family, sockets, by)
    instructions = ctypes.create_string_buffer(program, len(program))
    sock_fprog = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, sock_fprog)


def stop_steering(sock: socket.socket) -> None:
    """Let the kernel spread clients again. Raises OSError (ENOENT) where nothing is attached."""
    sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_REUSEPORT_BPF, 0)
