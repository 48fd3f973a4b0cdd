"""The hash functions' values, which must be the same in every process and release."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.schedulers.hashing import FIRST_KEY, client_hash, endpoint_hashes, hash_32, hsiphash


@given(value=st.integers(0, 2**33), bits=st.integers(1, 20))
def test_hash_32_is_the_top_of_a_32_bit_product(value: int, bits: int) -> None:
    assert hash_32(value, bits) == ((value * 1640531527) % 2**32) // 2 ** (32 - bits)


@given(value=st.integers(0, 2**34), key=st.integers(0, 2**64 - 1))
def test_hsiphash_is_a_number_of_32_bits_of_the_lowest_32(value: int, key: int) -> None:
    assert 0 <= hsiphash(value, key) < 2**32
    assert hsiphash(value, key) == hsiphash(value % 2**32, key)


def test_hsiphash_keeps_its_values() -> None:
    """That these are the kernel's is shown by test_kernel_choices.py."""
    assert hsiphash(0x03020100, 0x0706050403020100) == 0x25EE7C96


def test_a_client_and_an_endpoint_keep_their_hashes() -> None:
    assert client_hash(0x0A020102) == hsiphash(0x0A020102, FIRST_KEY)
    assert endpoint_hashes("10.0.0.1", 80) == (0x439C0CBE, 0x97B3DC47)
    assert endpoint_hashes("fd00::1", 80) == (0xC2F0C305, 0x508EC9D5)
