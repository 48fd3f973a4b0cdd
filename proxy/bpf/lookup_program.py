"""The program of type sk_lookup that finds the socket for a client.

Pure. It looks up (address, port, protocol, family) and then the wildcard address of the same; leaves what it does not
know to the kernel's regular lookup; turns a client from outside the frontend's source ranges into one that is ignored,
and counts it; and assigns the socket in the slot that the entry names, or refuses where the slot is empty. Within a
group of SO_REUSEPORT the kernel then chooses by the group's own rules. Invariant: a client that an entry is for never
reaches anybody else's socket.
"""

import socket
from collections.abc import Iterator

from proxy.bpf.assembler import assemble
from proxy.bpf.instruction import (
    Helper,
    Instruction,
    Label,
    Register,
    add_double_word_atomically,
    add_immediate,
    bitwise_or,
    bitwise_or_immediate,
    call,
    clear_double_word,
    jump,
    jump_if_equal,
    jump_if_not_equal,
    leave,
    load_map,
    load_word,
    move,
    move_immediate,
    shift_left,
    store_word,
    store_word_immediate,
)
from proxy.bpf.verdict import Verdict

Lines = Iterator[Instruction | Label]

# include/uapi/linux/bpf.h: struct bpf_sk_lookup. The addresses are in network order, the local port is not.
_FAMILY = 8
_PROTOCOL = 12
_REMOTE_IPV4 = 16
_REMOTE_IPV6 = 20
_LOCAL_IPV4 = 40
_LOCAL_IPV6 = 44
_LOCAL_PORT = 60

_DROP, _PASS = 0, 1  # enum sk_action
_IPV4_RANGE_BITS = 32 + 32
_IPV6_RANGE_BITS = 32 + 128

# The stack, from its end: a slot number, the entry's key (lookup_entry.entry_key), a range's (range_key).
_SLOT = -4
_KEY = -24
_KEY_PLACE = _KEY + 16
_RANGE = -48
_RANGE_NUMBER = _RANGE + 4
_RANGE_ADDRESS = _RANGE + 8

_CONTEXT = Register.SIX
_IS_IPV6 = Register.SEVEN
_SLOT_FOUND = Register.EIGHT
_RANGES = Register.NINE
_SOCKET = Register.NINE


def lookup_program(entries: int, ranges: int, sockets: int, drops: int) -> bytes:
    """The program over the maps that are open under these descriptors."""
    return assemble(
        [
            *_build_key(),
            *_find(entries, _KEY, "found"),
            clear_double_word(Register.FRAME, _KEY),
            clear_double_word(Register.FRAME, _KEY + 8),
            *_find(entries, _KEY, "found"),
            move_immediate(Register.RESULT, _PASS),
            leave(),
            Label("found"),
            *_check_source(ranges),
            *_count(drops),
            Label("assign"),
            *_assign(sockets),
        ]
    )


def _build_key() -> Lines:
    """The entry's key on the stack; the family stays in a register."""
    yield move(_CONTEXT, Register.ONE)
    yield load_word(_IS_IPV6, _CONTEXT, _FAMILY)
    yield load_word(Register.EIGHT, _CONTEXT, _LOCAL_PORT)
    yield load_word(Register.NINE, _CONTEXT, _PROTOCOL)
    yield shift_left(Register.NINE, 16)
    yield bitwise_or(Register.EIGHT, Register.NINE)
    yield move(Register.NINE, _IS_IPV6)
    yield shift_left(Register.NINE, 24)
    yield bitwise_or(Register.EIGHT, Register.NINE)
    yield store_word(Register.FRAME, _KEY_PLACE, Register.EIGHT)
    yield from _copy_address(_LOCAL_IPV4, _LOCAL_IPV6, _KEY, "local")


def _check_source(ranges: int) -> Lines:
    """With RESULT at an entry's value: its slot, or that of IGNORED for a client from outside its ranges."""
    yield load_word(_SLOT_FOUND, Register.RESULT, 0)
    yield load_word(_RANGES, Register.RESULT, 4)
    yield jump_if_equal(_RANGES, 0, "assign")
    yield store_word(Register.FRAME, _RANGE_NUMBER, _RANGES)
    yield store_word_immediate(Register.FRAME, _RANGE, _IPV4_RANGE_BITS)
    yield jump_if_not_equal(_IS_IPV6, socket.AF_INET6, "source")
    yield store_word_immediate(Register.FRAME, _RANGE, _IPV6_RANGE_BITS)
    yield Label("source")
    yield from _copy_address(_REMOTE_IPV4, _REMOTE_IPV6, _RANGE_ADDRESS, "remote")
    yield from _find(ranges, _RANGE, "assign")
    # The slots of a kind are numbered by their verdicts, and IGNORED has all bits of them set.
    yield bitwise_or_immediate(_SLOT_FOUND, Verdict.IGNORED)


def _count(drops: int) -> Lines:
    """Add one to what was dropped at the entry; the stack still has its key."""
    yield from _look_up(drops, _KEY)
    yield jump_if_equal(Register.RESULT, 0, "assign")
    yield move_immediate(Register.ONE, 1)
    yield add_double_word_atomically(Register.RESULT, 0, Register.ONE)


def _assign(sockets: int) -> Lines:
    yield store_word(Register.FRAME, _SLOT, _SLOT_FOUND)
    yield from _look_up(sockets, _SLOT)
    yield jump_if_equal(Register.RESULT, 0, "refuse")
    yield move(_SOCKET, Register.RESULT)
    yield move(Register.ONE, _CONTEXT)
    yield move(Register.TWO, _SOCKET)
    yield move_immediate(Register.THREE, 0)
    yield call(Helper.SOCKET_ASSIGN)
    yield move(_SLOT_FOUND, Register.RESULT)
    # A socket from a map comes with a reference, which the verifier wants back.
    yield move(Register.ONE, _SOCKET)
    yield call(Helper.SOCKET_RELEASE)
    yield jump_if_not_equal(_SLOT_FOUND, 0, "refuse")
    yield move_immediate(Register.RESULT, _PASS)
    yield leave()
    yield Label("refuse")
    yield move_immediate(Register.RESULT, _DROP)
    yield leave()


def _copy_address(ipv4: int, ipv6: int, place: int, name: str) -> Lines:
    """The context's address at `ipv4` or `ipv6`, by family, to sixteen bytes on the stack."""
    yield jump_if_equal(_IS_IPV6, socket.AF_INET6, f"{name} ipv6")
    yield clear_double_word(Register.FRAME, place)
    yield clear_double_word(Register.FRAME, place + 8)
    yield load_word(Register.ONE, _CONTEXT, ipv4)
    yield store_word(Register.FRAME, place, Register.ONE)
    yield jump(f"{name} done")
    yield Label(f"{name} ipv6")
    for offset in range(0, 16, 4):
        yield load_word(Register.ONE, _CONTEXT, ipv6 + offset)
        yield store_word(Register.FRAME, place + offset, Register.ONE)
    yield Label(f"{name} done")


def _find(map_descriptor: int, key: int, target: str) -> Lines:
    """Go on at `target` with the value's address in RESULT if the map has the key."""
    yield from _look_up(map_descriptor, key)
    yield jump_if_not_equal(Register.RESULT, 0, target)


def _look_up(map_descriptor: int, key: int) -> Lines:
    yield load_map(Register.ONE, map_descriptor)
    yield move(Register.TWO, Register.FRAME)
    yield add_immediate(Register.TWO, key)
    yield call(Helper.MAP_LOOKUP_ELEMENT)
