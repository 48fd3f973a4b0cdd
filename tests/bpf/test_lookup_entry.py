"""The bytes of entries: each key is one's own."""

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.bpf.lookup_entry import (
    KEY_SIZE,
    RANGE_KEY_SIZE,
    VALUE_SIZE,
    entry_key,
    entry_value,
    range_key,
)
from proxy.bpf.verdict import SLOTS, Verdict

PLACES = st.tuples(st.sampled_from(("TCP", "UDP")), st.ip_addresses().map(str), st.integers(1, 65535))


def test_a_key_is_the_address_the_port_the_protocol_and_the_family() -> None:
    assert entry_key("TCP", "10.96.0.1", 0x1F90).hex() == "0a600001" + "00" * 12 + "901f" + "06" + "02"
    assert entry_key("UDP", "fd00::1", 53).hex() == "fd00" + "00" * 13 + "01" + "3500" + "11" + "0a"


def test_a_wildcard_is_all_zeros_and_the_families_differ_in_it() -> None:
    four, six = entry_key("TCP", "0.0.0.0", 80), entry_key("TCP", "::", 80)
    assert four[:16] == six[:16] == bytes(16)
    assert four != six


@given(PLACES, PLACES)
def test_two_places_have_one_key_only_if_they_are_the_same(
    one: tuple[str, str, int], other: tuple[str, str, int]
) -> None:
    assert (entry_key(*one) == entry_key(*other)) == (one == other)
    assert len(entry_key(*one)) == KEY_SIZE


def test_every_kind_and_verdict_has_a_slot_of_its_own() -> None:
    values = {
        entry_value(protocol, address, verdict)
        for protocol in ("TCP", "UDP")
        for address in ("10.0.0.1", "fd00::1")
        for verdict in Verdict
    }
    assert sorted(struct.unpack("<II", value) for value in values) == [(slot, 0) for slot in range(SLOTS)]


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("address", ["10.0.0.1", "fd00::1"])
@pytest.mark.parametrize("verdict", Verdict)
def test_the_program_turns_any_slot_into_that_of_ignored_by_setting_bits(
    protocol: str, address: str, verdict: Verdict
) -> None:
    (slot, _) = struct.unpack("<II", entry_value(protocol, address, verdict))
    assert struct.pack("<II", slot | Verdict.IGNORED, 0) == entry_value(protocol, address, Verdict.IGNORED)


def test_a_value_carries_the_number_of_its_ranges() -> None:
    value = entry_value("TCP", "10.0.0.1", Verdict.STEERED, ranges=77)
    assert len(value) == VALUE_SIZE
    assert struct.unpack("<II", value)[1] == 77


@given(st.integers(1, 2**32 - 1), st.ip_addresses(v=4), st.integers(0, 32))
def test_a_range_is_a_prefix_of_its_number_and_network(
    number: int, address: ipaddress.IPv4Address, length: int
) -> None:
    key = range_key(number, f"{address}/{length}")
    network = ipaddress.ip_network((int(address), length), strict=False)
    assert key == struct.pack("<II", 32 + length, number) + network.network_address.packed + bytes(12)
    assert len(key) == RANGE_KEY_SIZE


def test_white_space_round_a_range_is_ignored() -> None:
    assert range_key(1, " fd00::1/64 ") == range_key(1, "fd00::/64")


def test_a_range_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="elsewhere"):
        range_key(1, "elsewhere")
