"""The characters of a file."""

import codecs
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.documents.document_text import invisible_characters, is_invisible, text_of
from proxy.documents.syntax_error import DocumentSyntaxError


@pytest.mark.parametrize(
    "content",
    [
        b"a: 1\n---\nb: 2\n",
        b"\xef\xbb\xbfa: 1\n---\n\xef\xbb\xbfb: 2\n",
        codecs.BOM_UTF16_LE + "a: 1\n---\nb: 2\n".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "a: 1\n---\n\ufeffb: 2\n".encode("utf-16-be"),
    ],
)
def test_every_encoding_of_kubectl_is_read(content: bytes) -> None:
    assert text_of(content) == "a: 1\n---\nb: 2\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: \xff", "is not UTF-8 text (byte 3)"),
        (codecs.BOM_UTF16_LE + b"a", "is not UTF-16 text (byte 2)"),
        (codecs.BOM_UTF16_BE + b"\xd8\x00\x00a", "is not UTF-16 text (byte 2)"),
    ],
)
def test_other_bytes_are_told_with_their_place(content: bytes, message: str) -> None:
    with pytest.raises(DocumentSyntaxError) as caught:
        text_of(content)
    assert str(caught.value) == message


@given(st.binary(max_size=40))
def test_whatever_the_bytes_nothing_else_is_raised(content: bytes) -> None:
    with contextlib.suppress(DocumentSyntaxError):
        text_of(content)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: 1", ""),
        ("näme: ü", ""),
        ("a:\u3000b", "line 11, column 3: U+3000 IDEOGRAPHIC SPACE"),
        (
            "a: 1\n\xa0b: c\u200b",
            "line 12, column 1: U+00A0 NO-BREAK SPACE; line 12, column 6: U+200B ZERO WIDTH SPACE",
        ),
        ("# \u200b\na: b # \u200b\nc: d#\u200b", "line 13, column 6: U+200B ZERO WIDTH SPACE"),
        ("a: b\x85", "line 11, column 5: U+0085 CONTROL CHARACTER"),
    ],
)
def test_invisible_characters_have_names_and_places(text: str, told: str) -> None:
    assert invisible_characters(text, first_line=10) == told
    assert is_invisible(text) or not told


def test_not_every_one_of_many_is_told() -> None:
    assert invisible_characters("\u200b" * 50).count("U+200B") == 3
