"""Lines come out whole and in order, however the bytes come in."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.sources.kubernetes_api.line_reader import LONGEST_LINE, LineReader, LineTooLongError


@given(st.binary(max_size=200).map(lambda raw: raw.replace(b"x", b"\n")), st.lists(st.integers(0, 200), max_size=8))
def test_the_lines_do_not_depend_on_the_chunks(stream: bytes, cuts: list[int]) -> None:
    reader = LineReader()
    edges = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    found = [line for start, end in itertools.pairwise(edges) for line in reader.feed(stream[start:end])]
    whole = stream[: stream.rfind(b"\n") + 1]
    assert found == [line for line in whole.split(b"\n") if line.strip()]


def test_a_line_counts_only_when_its_newline_has_come() -> None:
    reader = LineReader()
    assert reader.feed(b'{"cut') == []
    assert reader.feed(b" here") == []
    assert reader.feed(b"}\nrest") == [b'{"cut here}']


@pytest.mark.parametrize(
    ("before", "chunk"), [(b"12345", b"6"), (b"", b"123456\n"), (b"", b"1\n123456\n"), (b"", b"1\n123456")]
)
def test_a_line_beyond_the_limit_is_refused(before: bytes, chunk: bytes) -> None:
    reader = LineReader(limit=5)
    reader.feed(before)
    with pytest.raises(LineTooLongError, match="longer than 5 bytes"):
        reader.feed(chunk)


def test_a_line_of_the_limit_is_read_and_the_next_one_has_all_of_it_again() -> None:
    reader = LineReader(limit=5)
    assert reader.feed(b"12345\n1234") == [b"12345"]
    assert reader.feed(b"5\n") == [b"12345"]


def test_the_limit_is_64_mebibytes() -> None:
    line = b"a" * LONGEST_LINE
    assert LineReader().feed(line + b"\n") == [line]
    assert LONGEST_LINE == 2**26
