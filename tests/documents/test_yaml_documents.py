"""YAML documents: where they begin, what they hold, and where their mistakes are."""

import contextlib
from itertools import pairwise

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.documents.syntax_error import DocumentSyntaxError
from proxy.documents.yaml_documents import load_yaml, split_documents


def _everything(text: str) -> list[object]:
    return [document for line, part in split_documents(text) for document in load_yaml(part, line)]


def _repeats_a_key(node: yaml.Node | None) -> bool:
    keys = [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
    return len(set(keys)) < len(keys)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        ("a: 1\n", [(0, "a: 1\n")]),
        ("---\na: 1\n", [(0, "---\na: 1\n")]),
        ("# license\n\n---\na: 1\n", [(2, "---\na: 1\n")]),
        ("a: 1\n---\nb: 2\n", [(0, "a: 1\n"), (1, "---\nb: 2\n")]),
        ("a: 1\r\n---\r\nb: 2\r\n", [(0, "a: 1\r\n"), (1, "---\r\nb: 2\r\n")]),
        ("--- {a: 1}\n--- # two\nb: 2\n", [(0, "--- {a: 1}\n"), (1, "--- # two\nb: 2\n")]),
        ("a: ---\n---b: 1\n", [(0, "a: ---\n---b: 1\n")]),
        ("---\n---\n", [(0, "---\n"), (1, "---\n")]),
        ("%YAML 1.1\n---\na: 1\n---\nb: 2\n", [(0, "%YAML 1.1\n---\na: 1\n---\nb: 2\n")]),
    ],
)
def test_a_file_is_cut_where_its_documents_begin(text: str, parts: list[tuple[int, str]]) -> None:
    assert split_documents(text) == parts


_LINES = st.sampled_from(
    ["---", "--- # two", "---  {a: 1}", "# note", "", "  ", "a: 1", "b: text", "c: |\n  --- x\n  y", "d: [1, 2]", "..."]
)


@given(st.lists(_LINES, max_size=12).map("\n".join).map(lambda text: f"{text}\n"))
def test_the_parts_hold_what_the_whole_file_holds(text: str) -> None:
    try:
        whole = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError:
        return
    if any(_repeats_a_key(document) for document in yaml.compose_all(text)):
        with pytest.raises(DocumentSyntaxError, match="is already set"):
            _everything(text)
    else:
        assert [document for document in _everything(text) if document is not None] == whole


@given(st.lists(_LINES, max_size=12).map("\n".join))
def test_the_first_lines_are_those_of_the_file(text: str) -> None:
    for line, part in split_documents(text):
        assert "\n".join(text.split("\n")[line:]).startswith(part)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b: c", "line 11, column 5: mapping values are not allowed in this context"),
        ("x: 1\na: 1\na: 2", 'line 13, column 1: key "a" is already set'),
        ("a: {b: 1, b: 2}", 'line 11, column 11: key "b" is already set'),
        ("a: [1", "line 12, column 1: did not find expected ',' or ']' (while parsing a flow sequence)"),
        ("x: &y {b: *y}", "line 11, column 11: anchor 'y' value contains itself"),
        ("a: *b", "line 11, column 4: unknown anchor 'b' referenced"),
        ("- " * 50_000, "line 11, column 201: nested more than 100 levels deep"),
        ("a: \x00", "line 11, column 4: U+0000 CONTROL CHARACTER is not allowed here"),
        ("a: 1\nb: c\ud800", "line 12, column 5: U+D800 is not allowed here"),
        ("a: !!int x", "line 11, column 4: cannot decode !!str `x` as a !!int"),
        ('a: !!int ""', "line 11, column 4: cannot decode !!null `` as a !!int"),
        ('a: !!int "_"', "line 11, column 4: cannot decode !!str `_` as a !!int"),
        ('a: !!float ""', "line 11, column 4: cannot decode !!null `` as a !!float"),
        ("a: !!bool x", "line 11, column 4: cannot decode !!str `x` as a !!bool"),
        ("a: .inf", "line 11, column 4: JSON has no number inf: put it in quotes"),
        ("? [a]\n: b", "line 11, column 3: invalid map key: a list or mapping cannot be a key"),
    ],
)
def test_a_mistake_is_told_with_its_place_in_the_file(text: str, message: str) -> None:
    with pytest.raises(DocumentSyntaxError) as caught:
        load_yaml(text, first_line=10)
    assert str(caught.value) == message


def test_no_python_object_is_made() -> None:
    assert load_yaml("a: !!python/object/apply:os.getcwd []\nb: !!python/name:os.getcwd ''") == [{"a": [], "b": ""}]


def test_a_line_break_of_unicode_is_an_empty_value() -> None:
    assert load_yaml("a: \x85") == [{"a": None}]


def test_times_and_colons_stay_text_as_in_kubernetes() -> None:
    text = "t: 2024-01-01T00:00:00Z\nbase60: 12:30:45\nequals: =\noctal: 0755\nfraction: 1.5\nnegative: -5\nyes: true"
    assert load_yaml(text) == [
        {
            "t": "2024-01-01T00:00:00Z",
            "base60": "12:30:45",
            "equals": "=",
            "octal": 0o755,
            "fraction": 1.5,
            "negative": -5,
            "true": True,
        }
    ]


def test_merge_keys_may_be_overridden() -> None:
    assert load_yaml("a: &a {x: 1, z: 1}\nb: {<<: *a, z: 2}") == [{"a": {"x": 1, "z": 1}, "b": {"x": 1, "z": 2}}]


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"#%@,? \n\t0."), max_size=60))
def test_whatever_the_text_nothing_else_is_raised(text: str) -> None:
    with contextlib.suppress(DocumentSyntaxError):
        _everything(text)


@pytest.mark.parametrize(
    "text",
    [
        'a: !!int ""',
        'a: !!int "_"',
        'a: !!float ""',
        'a: !!int "0x"',
        'a: !!bool ""',
        "a: !!int " + "9" * 5000,
        "? [a]\n: b",
        "&a [*a]",
        "\n".join(" " * depth + f"a{depth}:" for depth in range(150)),
        "- " * 150 + "x",
        "? " * 150 + "x",
        "a:\n" + "\n".join(" " * depth + f"- a{depth}:" for depth in range(70)),
    ],
)
def test_whatever_cannot_be_made_is_a_mistake_in_the_text(text: str) -> None:
    with pytest.raises(DocumentSyntaxError):
        load_yaml(text)


def test_a_character_of_another_line_break_is_a_blank() -> None:
    assert load_yaml("a: \x85") == [{"a": None}]


LETTERS = "abcdefgh"


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x]\n" + "\n".join(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise(LETTERS)),
        "a: &a {x: 1}\n" + "\n".join(f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 9)}]}}" for a, b in pairwise(LETTERS)),
        f"a: &a {'x' * 10_000}\nb: [{', '.join(['*a'] * 2000)}]",
    ],
)
def test_aliases_that_stand_for_too_much_are_refused(text: str) -> None:
    with pytest.raises(DocumentSyntaxError, match=r"aliases stand for more than 100,000 values|excessive aliasing"):
        load_yaml(text)


def test_aliases_that_stand_for_little_are_read() -> None:
    (document,) = load_yaml("a: &a {x: [1, 2]}\nb: [*a, *a]\nc:\n  <<: *a\n  z: 3")
    assert document == {"a": {"x": [1, 2]}, "b": [{"x": [1, 2]}] * 2, "c": {"x": [1, 2], "z": 3}}


@given(st.text(alphabet="!inftx{}[]&*a-?:|>\n \"'#%0.e\x85\u2028", max_size=60))
def test_nothing_else_is_raised_whatever_the_text(text: str) -> None:
    with contextlib.suppress(DocumentSyntaxError):
        load_yaml(text)
