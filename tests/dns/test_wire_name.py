"""Names as keys: spelling, limits, reverse names and the zones of a range."""

import dns.name
import dns.reversename
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dns.wire_name import (
    NameTooLongError,
    below,
    first_label,
    parent_of,
    reverse_name,
    reverse_zones,
    text_of,
    wire_name,
)

labels = st.lists(st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True), min_size=1, max_size=8)


@given(labels)
def test_a_name_is_what_dnspython_sends_in_lower_case_without_the_root(parts: list[str]) -> None:
    text = ".".join(parts)
    assert wire_name(text) + b"\0" == dns.name.from_text(text).canonicalize().to_wire()
    assert text_of(wire_name(text)) == text.lower() + "."
    assert first_label(wire_name(text)) == parts[0].lower()
    assert parent_of(wire_name(text)) == wire_name(".".join(parts[1:]))


def test_a_dot_at_the_end_says_nothing_and_the_root_is_empty() -> None:
    assert wire_name("a.b.") == wire_name("a.b")
    assert wire_name(".") == wire_name("") == b""
    assert text_of(b"") == "."
    assert parent_of(b"") == b""


@pytest.mark.parametrize("label", ["", "a" * 64])
def test_a_label_that_dns_cannot_hold_is_refused(label: str) -> None:
    with pytest.raises(NameTooLongError):
        below(b"", label)


def test_a_name_has_at_most_255_bytes() -> None:
    longest = ".".join(["a" * 63] * 3 + ["b" * 61])
    assert len(wire_name(longest)) == 254
    with pytest.raises(NameTooLongError):
        wire_name(longest + "b")


def test_what_is_not_printable_is_escaped() -> None:
    assert text_of(b"\x04a.\x00\xff") == "a\\046\\000\\255."
    assert first_label(b"\x01\xff") == ""


@given(st.ip_addresses().filter(lambda each: getattr(each, "ipv4_mapped", None) is None))
def test_the_reverse_name_is_dnspythons(address: object) -> None:
    assert text_of(reverse_name(str(address))) == str(dns.reversename.from_address(str(address)))


@pytest.mark.parametrize(
    ("cidr", "zones"),
    [
        ("127.96.0.0/16", ["96.127.in-addr.arpa."]),
        ("10.0.0.0/8", ["10.in-addr.arpa."]),
        ("10.96.0.0/14", [f"{number}.10.in-addr.arpa." for number in range(96, 100)]),
        ("10.0.0.0/24", ["0.0.10.in-addr.arpa."]),
        ("10.0.0.4/31", ["4.0.0.10.in-addr.arpa.", "5.0.0.10.in-addr.arpa."]),
        ("fd00:96::/112", [f"{'0.' * 20}6.9.0.0.0.0.d.f.ip6.arpa."]),
        ("fd00::/15", ["0.0.d.f.ip6.arpa.", "1.0.d.f.ip6.arpa."]),
    ],
)
def test_a_range_is_the_zones_that_cover_it_exactly(cidr: str, zones: list[str]) -> None:
    assert [text_of(zone) for zone in reverse_zones(cidr)] == zones
