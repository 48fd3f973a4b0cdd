"""Address syntax: the API's words, and acceptance against the C library."""

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.addresses import address_errors, cidr_errors, endpoint_address_errors, parse_address

NOT_AN_ADDRESS = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
NOT_A_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
LOOPBACK = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
PADDED = "must not have leading 0s"
MAPPED = "must not be an IPv4-mapped IPv6 address"


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("", NOT_AN_ADDRESS),
        ("10.0.0", NOT_AN_ADDRESS),
        ("10.0.0.256", NOT_AN_ADDRESS),
        ("10.0.0.1/32", NOT_AN_ADDRESS),
        ("None", NOT_AN_ADDRESS),
        ("fe80::1%eth0", NOT_AN_ADDRESS),
        ("010.0.0.1", PADDED),
        ("10.0.00.1", PADDED),
        ("::010.1.2.3", PADDED),
        ("::ffff:10.0.0.1", MAPPED),
    ],
)
def test_says_what_is_wrong_with_an_address(text: str, detail: str) -> None:
    assert [str(error) for error in address_errors("f", text)] == [f'f: Invalid value: "{text}": {detail}']
    assert parse_address(text) is None


@given(st.text(st.sampled_from("0123456789abf:."), max_size=20) | st.ip_addresses().map(str))
def test_accepts_what_the_c_library_accepts_but_for_mapped_addresses(text: str) -> None:
    accepted = False
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            packed = socket.inet_pton(family, text)
        except OSError:
            continue
        accepted = not packed.startswith(bytes(10) + b"\xff\xff")
    assert (address_errors("f", text) == ()) is accepted
    assert (parse_address(text) is not None) is accepted


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("0.0.0.0", "may not be unspecified (0.0.0.0)"),
        ("::", "may not be unspecified (::)"),
        ("127.0.0.1", LOOPBACK),
        ("::1", LOOPBACK),
        ("169.254.1.1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        ("fe80::1", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"),
        ("224.0.0.9", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
        ("ff02::1", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"),
        ("x", NOT_AN_ADDRESS),
    ],
)
def test_says_why_an_address_cannot_be_an_endpoint(text: str, detail: str) -> None:
    assert [str(error) for error in endpoint_address_errors("f", text)] == [f'f: Invalid value: "{text}": {detail}']


@pytest.mark.parametrize("text", ["10.0.0.1", "2001:db8::1", "239.1.1.1", "255.255.255.255"])
def test_lets_ordinary_and_global_multicast_addresses_be_endpoints(text: str) -> None:
    assert endpoint_address_errors("f", text) == ()


@pytest.mark.parametrize("text", ["127.0.0.1", "127.1.2.3", "::1"])
def test_lets_loopback_be_an_endpoint_where_it_is_allowed(text: str) -> None:
    assert endpoint_address_errors("f", text, allow_loopback=True) == ()


@pytest.mark.parametrize(
    ("text", "details"),
    [
        ("x", [NOT_A_CIDR]),
        ("10.0.0.0", [NOT_A_CIDR]),
        ("10.0.0.0/", [NOT_A_CIDR]),
        ("10.0.0.0/33", [NOT_A_CIDR]),
        ("10.0.0.0/255.0.0.0", [NOT_A_CIDR]),
        ("10.0.0.0/8/8", [NOT_A_CIDR]),
        ("10.0.0.0/" + "1" * 5000, [NOT_A_CIDR]),
        ("2001:db8::/129", [NOT_A_CIDR]),
        ("010.0.0.0/8", ["must not have leading 0s in IP or prefix length"]),
        ("10.0.0.0/08", ["must not have leading 0s in IP or prefix length"]),
        ("::ffff:10.0.0.0/104", ["must not have an IPv4-mapped IPv6 address"]),
        ("10.0.0.1/8", ["must not have bits set beyond the prefix length"]),
        ("10.0.0.0/8", []),
        ("0.0.0.0/0", []),
        ("2001:db8::/64", []),
    ],
)
def test_says_what_is_wrong_with_a_cidr(text: str, details: list[str]) -> None:
    assert [str(error) for error in cidr_errors("f", text)] == [f'f: Invalid value: "{text}": {d}' for d in details]


@given(st.ip_addresses(), st.integers(0, 128))
def test_accepts_exactly_the_networks_of_the_standard_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, length: int
) -> None:
    text = f"{address}/{length}"
    mapped = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
    try:
        ipaddress.ip_network(text)
    except ValueError:
        assert cidr_errors("f", text)
    else:
        assert (cidr_errors("f", text) == ()) is not mapped
