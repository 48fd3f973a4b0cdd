"""Columns line up the way kubectl's do."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.reports.table import render_table


def test_columns_are_three_spaces_apart_and_six_wide_at_least() -> None:
    text = render_table(("A", "NAME", "LAST"), [("1", "a-longer-name", "x"), ("22", "b", "yy")])
    assert text.splitlines() == [
        "A     NAME            LAST",
        "1     a-longer-name   x",
        "22    b               yy",
    ]


def test_without_rows_there_is_the_header_alone() -> None:
    assert render_table(("NAME", "AGE"), []) == "NAME   AGE\n"


CELLS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=8))
def test_every_cell_can_be_read_back_from_its_column(rows: list[tuple[str, str, str]]) -> None:
    lines = render_table(("ONE", "TWO", "THREE"), rows).splitlines()
    second, third = lines[0].index("TWO"), lines[0].index("THREE")
    read = [(line[:second].rstrip(), line[second:third].rstrip(), line[third:]) for line in lines[1:]]
    assert read == rows


def test_a_row_is_one_line_whatever_is_in_it() -> None:
    text = render_table(("NAME", "POD"), [("web", "p\x1b[2J\nforged"), ("\udcff", "x")])
    assert text.splitlines() == ["NAME   POD", "web    p\\x1b[2J\\nforged", "\\xff   x"]
