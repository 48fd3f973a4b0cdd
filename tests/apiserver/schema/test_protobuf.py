"""Bytes on the wire, against the encodings that the format's own documentation gives."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.apiserver.schema.protobuf import Budget, WireError, message, text, texts, varints, wire_fields


def test_a_text_is_its_field_its_length_and_its_bytes() -> None:
    assert text(2, "testing") == bytes.fromhex("120774657374696e67")
    assert text(1, "é") == b"\x0a\x02\xc3\xa9"


def test_an_empty_text_takes_no_bytes_but_counts_among_several() -> None:
    assert text(1, "") == b""
    assert texts(1, ["", "a"]) == b"\x0a\x00\x0a\x01a"


def test_a_message_holds_its_fields_and_is_there_even_if_empty() -> None:
    assert message(3, text(1, "a"), text(2, "b")) == b"\x1a\x06\x0a\x01a\x12\x01b"
    assert message(3) == b"\x1a\x00"


def test_great_lengths_and_numbers_take_more_bytes() -> None:
    assert text(1, "x" * 300) == b"\x0a\xac\x02" + b"x" * 300
    assert message(31) == b"\xfa\x01\x00"


def test_fields_are_read_in_their_order_numbers_and_bytes() -> None:
    content = bytes.fromhex("089601") + text(2, "testing") + message(3) + bytes.fromhex("0801")
    assert list(wire_fields(content, Budget(200_010))) == [(1, 150), (2, b"testing"), (3, b""), (1, 1)]


def test_a_negative_number_is_one_of_64_bits() -> None:
    assert list(wire_fields(b"\x08" + b"\xff" * 9 + b"\x01", Budget(200_010))) == [(1, 2**64 - 1)]
    assert list(varints(bytes.fromhex("0396019f8d06"), Budget(3))) == [3, 150, 99999]


def test_groups_and_numbers_of_fixed_width_are_skipped_with_all_that_is_in_them() -> None:
    group = bytes.fromhex("0b0801130b0c140c")
    assert list(wire_fields(group + b"\x09" + bytes(8) + b"\x15" + bytes(4) + text(1, "a"), Budget(200_010))) == [
        (1, b"a")
    ]
    deep = b"\x0b" * 100_000 + b"\x0c" * 100_000
    assert list(wire_fields(deep, Budget(200_010))) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("08", "unexpected EOF"),
        ("0880", "unexpected EOF"),
        ("0a0561", "unexpected EOF"),
        ("09" + "00" * 7, "unexpected EOF"),
        ("0b", "unexpected EOF"),
        ("0aff" + "ff" * 8 + "01", "unexpected EOF"),
        ("08" + "80" * 10 + "01", "proto: integer overflow"),
        ("00", "proto: illegal tag 0 (wire type 0)"),
        ("ffffffff7f01", "proto: illegal tag 4294967295 (wire type 7)"),
        ("0e", "proto: illegal wireType 6"),
        ("0c", "proto: unexpected end of group"),
    ],
)
def test_what_is_no_message_is_refused(content: str, reason: str) -> None:
    with pytest.raises(WireError) as refused:
        list(wire_fields(bytes.fromhex(content), Budget(200_010)))
    assert str(refused.value) == reason


@given(st.binary(max_size=200))
def test_whatever_is_read_ends_in_fields_or_in_a_wire_error(content: bytes) -> None:
    fields: list[tuple[int, int | bytes]] = []
    with contextlib.suppress(WireError):
        fields += wire_fields(content, Budget(200_010))
    for number, value in fields:
        assert 0 < number < 2**29
        assert value in content if isinstance(value, bytes) else 0 <= value < 2**64
