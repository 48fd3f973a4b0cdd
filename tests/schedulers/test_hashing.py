"""The hash functions' values, which must be the same in every process and release."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.schedulers.hashing import endpoint_hashes, hash_32, mix_32


@given(value=st.integers(0, 2**33), bits=st.integers(1, 20))
def test_hash_32_is_the_top_of_a_32_bit_product(value: int, bits: int) -> None:
    assert hash_32(value, bits) == ((value * 1640531527) % 2**32) // 2 ** (32 - bits)


def test_mix_32_has_the_values_of_fmix32() -> None:
    assert [mix_32(value) for value in (0, 1, 2**32 + 1)] == [0, 0x514E28B7, 0x514E28B7]


def test_an_endpoint_keeps_its_hashes() -> None:
    assert endpoint_hashes("10.0.0.1", 80) == (0x4880B22CF795295B, 0x9FB6A762ECBE6E91)


def test_address_and_port_do_not_run_into_each_other() -> None:
    assert endpoint_hashes("10.0.0.1", 180) != endpoint_hashes("10.0.0.11", 80)
