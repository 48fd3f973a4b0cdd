"""Which addresses are this machine's own."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.plan.local_addresses import LocalAddresses

RANGES = ("10.96.0.0/12", "192.168.7.0/30", "172.30.0.7/32", "2001:db8:0:1::/64", "fd00:10:96::/112", "0.0.0.0/3")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.96.7.1", "::1", "192.0.2.1", "10.111.255.255", "fd00:10:96::a"])
def test_loopback_interfaces_and_ranges_are_local(address: str) -> None:
    assert LocalAddresses(frozenset(["192.0.2.1"]), RANGES[:5]).lookup().has(address)


@pytest.mark.parametrize("address", ["10.112.0.0", "192.0.2.2", "12.7.0.1", "::2", "2001:db8::1", "fd00:10:97::a"])
def test_other_addresses_are_not(address: str) -> None:
    assert not LocalAddresses(frozenset(["192.0.2.1"]), RANGES[:5]).lookup().has(address)


@given(
    st.lists(st.sampled_from(RANGES), max_size=3).map(tuple),
    st.sampled_from(RANGES).flatmap(
        lambda cidr: st.one_of(st.ip_addresses(network=cidr), st.ip_addresses(v=ip_network(cidr).version))
    ),
)
def test_agrees_with_a_plain_look_at_every_range(ranges: tuple[str, ...], address: object) -> None:
    known = [ip_network(cidr) for cidr in (*ranges, "127.0.0.0/8", "::1/128")]
    expected = any(ip_address(str(address)) in network for network in known)
    assert LocalAddresses(frozenset(), ranges).lookup().has(str(address)) is expected
