"""The instructions of BPF that programs here are made of.

Pure. Opcodes are those of Documentation/bpf/standardization/instruction-set.rst and include/uapi/linux/bpf.h.
Invariant: an instruction is a value; where a jump leads is a label's name until `assemble` makes it a distance.
"""

import enum
import struct
from typing import NamedTuple

_DOUBLE_SLOT = 0x18
_MAP_DESCRIPTOR = 1  # BPF_PSEUDO_MAP_FD


class Register(enum.IntEnum):
    """RESULT of calls and of the program; ONE to FIVE are arguments, which a call destroys; SIX to NINE outlive calls;
    FRAME is the end of the stack and read-only."""

    RESULT = 0
    ONE = 1
    TWO = 2
    THREE = 3
    FOUR = 4
    FIVE = 5
    SIX = 6
    SEVEN = 7
    EIGHT = 8
    NINE = 9
    FRAME = 10


class Helper(enum.IntEnum):
    """Functions of the kernel (include/uapi/linux/bpf.h, enum bpf_func_id)."""

    MAP_LOOKUP_ELEMENT = 1
    MAP_UPDATE_ELEMENT = 2
    MAP_DELETE_ELEMENT = 3
    MONOTONIC_NANOSECONDS = 5
    RANDOM = 7
    SOCKET_COOKIE = 46
    SOCKET_OPERATION_FLAGS = 59
    SOCKET_RELEASE = 86
    SOCKET_STORAGE = 107
    NAMESPACE_COOKIE = 122
    SOCKET_ASSIGN = 124
    COARSE_NANOSECONDS = 160
    LOOP = 181
    SET_RETURN_VALUE = 187


class Instruction(NamedTuple):
    """struct bpf_insn; `target` is the label that a jump leads to. `immediate` has 32 bits and a sign, or 64 bits in an
    instruction of two slots."""

    code: int
    destination: int = 0
    source: int = 0
    offset: int = 0
    immediate: int = 0
    target: str = ""

    @property
    def slots(self) -> int:
        """How many places of eight bytes it takes in a program."""
        return 2 if self.code == _DOUBLE_SLOT else 1

    def encoded(self, distance: int = 0) -> bytes:
        """The bytes of the instruction; `distance` is how many slots a jump skips."""
        registers = self.destination | self.source << 4
        offset = self.offset + distance
        if self.slots == 1:
            return struct.pack("<BBhi", self.code, registers, offset, self.immediate)
        low, high = self.immediate & 0xFFFFFFFF, self.immediate >> 32
        return struct.pack("<BBhIII", self.code, registers, offset, low, 0, high)


class Label(NamedTuple):
    """A place that jumps lead to; takes no room."""

    name: str


def move(destination: Register, source: Register) -> Instruction:
    """destination = source."""
    return Instruction(0xBF, destination, source)


def move_immediate(destination: Register, value: int) -> Instruction:
    """destination = value."""
    return Instruction(0xB7, destination, immediate=value)


def add_immediate(destination: Register, value: int) -> Instruction:
    """destination += value."""
    return Instruction(0x07, destination, immediate=value)


def bitwise_or(destination: Register, source: Register) -> Instruction:
    """destination |= source."""
    return Instruction(0x4F, destination, source)


def bitwise_or_immediate(destination: Register, value: int) -> Instruction:
    """destination |= value."""
    return Instruction(0x47, destination, immediate=value)


def shift_left(destination: Register, bits: int) -> Instruction:
    """destination <<= bits."""
    return Instruction(0x67, destination, immediate=bits)


def load_word(destination: Register, base: Register, offset: int) -> Instruction:
    """destination = the 32 bits at base + offset."""
    return Instruction(0x61, destination, base, offset)


def store_word(base: Register, offset: int, source: Register) -> Instruction:
    """The 32 bits at base + offset = source."""
    return Instruction(0x63, base, source, offset)


def store_word_immediate(base: Register, offset: int, value: int) -> Instruction:
    """The 32 bits at base + offset = value."""
    return Instruction(0x62, base, 0, offset, value)


def clear_double_word(base: Register, offset: int) -> Instruction:
    """The 64 bits at base + offset = 0; the address is a multiple of eight."""
    return Instruction(0x7A, base, 0, offset)


def add_double_word_atomically(base: Register, offset: int, source: Register) -> Instruction:
    """The 64 bits at base + offset += source, whoever else adds at that moment."""
    return Instruction(0xDB, base, source, offset)


def load_map(destination: Register, descriptor: int) -> Instruction:
    """destination = the map that is open in this process as `descriptor`."""
    return Instruction(_DOUBLE_SLOT, destination, _MAP_DESCRIPTOR, immediate=descriptor)


def call(helper: Helper) -> Instruction:
    """RESULT = helper(ONE to FIVE)."""
    return Instruction(0x85, immediate=helper)


def jump(target: str) -> Instruction:
    """Go on at the label."""
    return Instruction(0x05, target=target)


def jump_if_equal(register: Register, value: int, target: str) -> Instruction:
    """Go on at the label if register == value."""
    return Instruction(0x15, register, immediate=value, target=target)


def jump_if_not_equal(register: Register, value: int, target: str) -> Instruction:
    """Go on at the label if register != value."""
    return Instruction(0x55, register, immediate=value, target=target)


def leave() -> Instruction:
    """End the program with what is in RESULT."""
    return Instruction(0x95)
