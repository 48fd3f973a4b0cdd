"""Socket filters that drop packets by source address, unseen by the client: it times out and is not refused.

Programs are classic BPF (kernel: Documentation/networking/filter.rst), which any process may attach to its own sockets.
For a Service with externalTrafficPolicy Local and no local endpoint, and for loadBalancerSourceRanges. Invariant: a
program returns all of a packet or nothing of it.
"""

import ctypes
import ipaddress
import socket
import struct
from collections.abc import Sequence

MAX_INSTRUCTIONS = 4096
"""BPF_MAXINSNS of include/uapi/linux/bpf_common.h: the kernel takes no longer program."""

# include/uapi/asm-generic/socket.h; the socket module does not have them.
_SO_ATTACH_FILTER = 26
_SO_DETACH_FILTER = 27

# include/uapi/linux/bpf_common.h.
_LOAD_WORD = 0x20  # BPF_LD | BPF_W | BPF_ABS
_AND = 0x54  # BPF_ALU | BPF_AND | BPF_K
_JUMP_IF_EQUAL = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_RETURN = 0x06  # BPF_RET | BPF_K

# Offsets from here are into the network header, wherever the socket's own data starts (include/uapi/linux/filter.h).
NETWORK_HEADER = 0xFFF00000
_WORD = 0xFFFFFFFF

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def drop_everything() -> bytes:
    """A program under which the socket receives nothing; a listener accepts nobody and refuses nobody."""
    return instruction(_RETURN, 0)


def admit_only(cidrs: Sequence[str], family: socket.AddressFamily) -> bytes:
    """A program that drops what comes from outside `cidrs`, for a socket of `family` that serves this family alone.

    White space round a CIDR and bits behind its prefix are ignored, as are CIDRs of the other family; where none is
    left, everything is dropped. Raises ValueError for text that is no CIDR, and for more of them than fit in
    MAX_INSTRUCTIONS, about 1,000 of IPv4 and 450 of IPv6.
    """
    networks = _networks(cidrs, family)
    instructions = [instruction for network in networks for instruction in _admit(network)]
    instructions.append(instruction(_RETURN, 0))
    if len(instructions) > MAX_INSTRUCTIONS:
        raise ValueError(
            f"{len(networks)} source ranges need a filter of {len(instructions)} instructions, "
            f"more than the kernel's {MAX_INSTRUCTIONS}"
        )
    return b"".join(instructions)


def attach(sock: socket.socket, program: bytes) -> None:
    """Put `program` in force on `sock`, in the place of any other, for packets that arrive from now on.

    Sockets accepted from a listener inherit its program. Raises OSError: ENOMEM where net.core.optmem_max is too
    small for a long program.
    """
    instructions = ctypes.create_string_buffer(program, len(program))
    count = len(program) // struct.calcsize("HBBI")
    sock_fprog = struct.pack("@HP", count, ctypes.addressof(instructions))
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, sock_fprog)


def detach(sock: socket.socket) -> None:
    """Let everything in again. Raises OSError (ENOENT) where nothing is attached."""
    sock.setsockopt(socket.SOL_SOCKET, _SO_DETACH_FILTER, 0)


def _networks(cidrs: Sequence[str], family: socket.AddressFamily) -> list[Network]:
    """The fewest networks of `family` that cover the same addresses as `cidrs` do."""
    parsed = [ipaddress.ip_network(cidr.strip(), strict=False) for cidr in cidrs]
    if family == socket.AF_INET:
        return list(ipaddress.collapse_addresses(n for n in parsed if isinstance(n, ipaddress.IPv4Network)))
    return list(ipaddress.collapse_addresses(n for n in parsed if isinstance(n, ipaddress.IPv6Network)))


def _admit(network: Network) -> list[bytes]:
    """Compare the source address word by word: all equal returns the packet, a difference leads past these lines.

    Built from the end, so that each comparison knows how far that is; 10 lines at most, where a jump reaches 255.
    """
    source = NETWORK_HEADER + (12 if network.version == 4 else 8)
    lines = [instruction(_RETURN, _WORD)]
    for index in reversed(range(network.max_prefixlen // 32)):
        mask = _word(int(network.netmask), network, index)
        if mask:
            value = _word(int(network.network_address), network, index)
            masking = [] if mask == _WORD else [instruction(_AND, mask)]
            comparing = instruction(_JUMP_IF_EQUAL, value, otherwise=len(lines))
            lines = [instruction(_LOAD_WORD, source + index * 4), *masking, comparing, *lines]
    return lines


def _word(number: int, network: Network, index: int) -> int:
    """The 32-bit word at `index`, from the most significant, of an address or mask as long as the network's."""
    return number >> (network.max_prefixlen - 32 * (index + 1)) & _WORD


def instruction(code: int, operand: int, otherwise: int = 0) -> bytes:
    """struct sock_filter (include/uapi/linux/filter.h); `otherwise` is how many instructions a jump skips whose
    condition does not hold."""
    return struct.pack("HBBI", code, 0, otherwise, operand)
