"""One spelling for every address."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.plan.addresses import canonical_address, family_of, with_port


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("010.000.00.01", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("0:0:0:0:0:0:0:0", "::"),
        ("10.0.0.256", None),
        ("10.0.0", None),
        ("10.0.0.٣", None),
        ("myapp", None),
        ("", None),
    ],
)
def test_spells_an_address_in_one_way(text: str, canonical: str | None) -> None:
    assert canonical_address(text) == canonical


@given(st.ip_addresses(v=6))
def test_all_spellings_of_an_ipv6_address_agree(address: ipaddress.IPv6Address) -> None:
    assert canonical_address(address.exploded.upper()) == canonical_address(address.compressed)


@given(st.ip_addresses())
def test_a_canonical_address_is_its_own_canonical_form(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    canonical = canonical_address(str(address))
    assert canonical is not None
    assert canonical_address(canonical) == canonical


@given(st.text(max_size=20))
def test_nonsense_is_none_and_never_an_error(text: str) -> None:
    canonical = canonical_address(text)
    assert canonical is None or ipaddress.ip_address(canonical)


def test_tells_the_families_apart() -> None:
    assert family_of("10.0.0.1") == "IPv4"
    assert family_of("2001:db8::1") == "IPv6"


def test_brackets_an_ipv6_address_before_its_port() -> None:
    assert with_port("10.0.0.1", 80) == "10.0.0.1:80"
    assert with_port("2001:db8::1", 80) == "[2001:db8::1]:80"
