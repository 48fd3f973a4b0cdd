"""JSON documents: one or more values one after the other in a file, as kubectl accepts them.

Invariant: nothing but DocumentSyntaxError leaves `load_json`, whatever the text holds.
"""

import json
import re

from proxy.documents.syntax_error import at

_BLANKS = re.compile(r"[ \t\r\n]*")


class _DuplicateKeyError(Exception):
    """The decoder's hook does not know the position."""


def load_json(text: str) -> list[object]:
    """Every value in `text`. Raises DocumentSyntaxError, for a key that is set twice as well."""
    decoder = json.JSONDecoder(object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    documents: list[object] = []
    position = _next_value(text, 0)
    try:
        while position < len(text):
            document, end = decoder.raw_decode(text, position)
            documents.append(document)
            position = _next_value(text, end)
    except json.JSONDecodeError as error:
        raise at(error.lineno, error.colno, error.msg) from error
    except (_DuplicateKeyError, RecursionError, ValueError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise at(text.count("\n", 0, position) + 1, 1, f"in the value that begins here, {reason}") from error
    return documents


def _next_value(text: str, position: int) -> int:
    blanks = _BLANKS.match(text, position)
    return blanks.end() if blanks else position


def _refuse_constant(name: str) -> object:
    """Python reads NaN and Infinity, which JSON has not."""
    raise ValueError(f"JSON has no number {name}")


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    for key, value in pairs:
        if key in members:
            raise _DuplicateKeyError(f'key "{key}" is already set')
        members[key] = value
    return members
