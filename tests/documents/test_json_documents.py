"""JSON documents: several in a file, and mistakes with their place."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.documents.json_documents import load_json
from proxy.documents.syntax_error import DocumentSyntaxError

_SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
_DOCUMENTS = st.dictionaries(st.text(max_size=5), _SCALARS | st.lists(_SCALARS, max_size=3), max_size=4)


@given(st.lists(_DOCUMENTS, max_size=4), st.sampled_from(["", " ", "\n", "\r\n\t "]))
def test_every_value_of_a_file_is_read(documents: list[object], between: str) -> None:
    assert load_json(between + between.join(map(json.dumps, documents)) + between) == documents


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}\n{"b": }', "line 2, column 7: Expecting value"),
        ('{"a":', "line 1, column 6: Expecting value"),
        ('\n\n{"a": 1, "a": 2}', 'line 3, column 1: in the value that begins here, key "a" is already set'),
        ("[" * 100_000, "line 1, column 1: in the value that begins here, it is nested too deeply"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(DocumentSyntaxError) as caught:
        load_json(text)
    assert str(caught.value) == message
