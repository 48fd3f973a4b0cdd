"""Bytes on the wire, against the encodings that the format's own documentation gives."""

from proxy.apiserver.protobuf import message, text, texts


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
