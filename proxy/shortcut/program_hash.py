"""The hash of mh in the programs: SipHash-1-3 of 32 bits, as `schedulers.hashing.hsiphash` computes it.

Invariant: R6, R7 and R9 are left alone, so that a program's context, pool and slots stay where they are.
"""

from proxy.bpf.builder import R0, R1, R2, R3, R4, R5, R8, ProgramBuilder
from proxy.bpf.instruction import Register
from proxy.schedulers.hashing import FIRST_KEY, INITIAL_STATE

_STATE = (R2, R3, R4, R5)
_LENGTH = 4 << 56  # SipHash puts the length of what it hashes, in bytes, at the top of the last word.


def add_hsiphash(a: ProgramBuilder) -> None:
    """R1 = the hash of the 32 bits in R1, under the key of clients. R0, R2 to R5 and R8 are lost."""
    v0, v1, v2, v3 = _STATE
    a.compute(R1, "=", R1, bits=32)
    a.constant(R8, _LENGTH)
    a.compute(R8, "|", R1)
    for register, word in zip(_STATE, INITIAL_STATE, strict=True):
        a.constant(register, word ^ FIRST_KEY)
    a.compute(v3, "^", R8)
    _round(a)
    a.compute(v0, "^", R8)
    a.compute(v2, "^", 0xFF)
    for _ in range(3):
        _round(a)
    for register in (v1, v2, v3):
        a.compute(v0, "^", register)
    a.compute(R1, "=", v0, bits=32)


def _round(a: ProgramBuilder) -> None:
    """SIPROUND of include/linux/siphash.h, SIPHASH_PERMUTATION."""
    v0, v1, v2, v3 = _STATE
    _add_and_turn(a, v0, v1, 13)
    _turn(a, v0, 32)
    _add_and_turn(a, v2, v3, 16)
    _add_and_turn(a, v0, v3, 21)
    _add_and_turn(a, v2, v1, 17)
    _turn(a, v2, 32)


def _add_and_turn(a: ProgramBuilder, sum_: Register, other: Register, bits: int) -> None:
    a.compute(sum_, "+", other)
    _turn(a, other, bits)
    a.compute(other, "^", sum_)


def _turn(a: ProgramBuilder, register: Register, bits: int) -> None:
    """The register turned left by so many bits."""
    a.move(R0, register)
    a.compute(R0, ">>", 64 - bits)
    a.compute(register, "<<", bits)
    a.compute(register, "|", R0)
