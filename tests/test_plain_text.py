"""Text of others in a line: printable and one line, whatever is in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.plain_text import plain, plain_lines


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("web é 名前", "web é 名前"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb\u2028\u200b", "a\\u202eb\\u2028\\u200b"),
        ("\udcff.yaml", "\\xff.yaml"),
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_what_is_more_than_text_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert plain(text) == shown


@given(st.text(st.characters(exclude_categories=())))
def test_the_result_is_one_printable_line_that_can_be_written(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert shown.encode().decode() == shown
    assert plain(shown) == shown
    assert plain_lines(text).count("\n") == text.count("\n")
