"""Addresses as numbers and as text."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.addresses import client_number, endpoint_text, fold, is_wildcard


@given(st.ip_addresses())
def test_an_address_is_its_number(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert client_number(str(address)) == int(address)


def test_a_scope_is_no_part_of_the_number() -> None:
    assert client_number("fe80::1%eth0") == int(ipaddress.ip_address("fe80::1"))


@given(st.ip_addresses(v=4))
def test_an_ipv4_number_is_its_own_fold(address: ipaddress.IPv4Address) -> None:
    assert fold(int(address)) == int(address)


@given(st.lists(st.integers(0, 0xFFFFFFFF), min_size=4, max_size=4))
def test_an_ipv6_number_folds_to_the_xor_of_its_words(words: list[int]) -> None:
    number = int("".join(f"{word:08x}" for word in words), 16)
    assert fold(number) == words[0] ^ words[1] ^ words[2] ^ words[3]


@pytest.mark.parametrize(
    ("host", "text"), [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"), ("fe80::1%lo", "[fe80::1%lo]:80")]
)
def test_ipv6_gets_brackets(host: str, text: str) -> None:
    assert endpoint_text(host, 80) == text


@pytest.mark.parametrize(("address", "answer"), [("0.0.0.0", True), ("::", True), ("127.0.0.1", False), ("::1", False)])
def test_the_wildcard_of_each_family_is_known(address: str, answer: bool) -> None:
    assert is_wildcard(address) is answer
