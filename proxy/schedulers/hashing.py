"""The hash functions of the hash schedulers: fixed, so that a client meets the same backend after any restart.

Imports nothing of ours. Invariant: every result depends on the arguments alone, never on the process (Python's hash()
of a string does).
"""

from hashlib import blake2b

WORD = 0xFFFFFFFF


def hash_32(value: int, bits: int) -> int:
    """The top `bits` of a multiplication by the golden ratio (include/linux/hash.h, hash_32)."""
    return (value * 0x61C88647 & WORD) >> (32 - bits)


def mix_32(value: int) -> int:
    """A 32-bit value in which every bit depends on every bit of the argument (MurmurHash3's fmix32)."""
    value &= WORD
    value = (value ^ value >> 16) * 0x85EBCA6B & WORD
    value = (value ^ value >> 13) * 0xC2B2AE35 & WORD
    return value ^ value >> 16


def endpoint_hashes(address: str, port: int) -> tuple[int, int]:
    """Two independent 64-bit values for one endpoint."""
    digest = blake2b(f"{address} {port}".encode(), digest_size=16).digest()
    return int.from_bytes(digest[:8]), int.from_bytes(digest[8:])
