"""Document limits: how deep and how large one document may be.

Invariant: whatever is made of a document within its limits takes time and memory in proportion to them, also where the
document repeats itself by aliases.
"""

import msgspec

from proxy.documents.syntax_error import DocumentSyntaxError

CHARACTERS_A_VALUE = 100
"""A longer text counts as several values."""


class DocumentLimits(msgspec.Struct, frozen=True):
    """`depth` is the levels of nesting; `values` counts scalars, keys, lists and mappings as often as they are used,
    `repeated_values` those that aliases stand for."""

    depth: int = 100
    values: int = 5_000_000
    repeated_values: int = 100_000


USUAL_LIMITS = DocumentLimits()


def too_deep(limits: DocumentLimits) -> str:
    """What is wrong with a document of more levels."""
    return f"nested more than {limits.depth} levels deep"


def too_many_values(limits: DocumentLimits) -> str:
    """What is wrong with a document of more values."""
    return f"more than {limits.values:,} values: split the document"


def too_many_repeated(limits: DocumentLimits) -> str:
    """What is wrong with a document whose aliases multiply."""
    return f"aliases stand for more than {limits.repeated_values:,} values"


def require_limits(document: object, limits: DocumentLimits) -> None:
    """Raises DocumentSyntaxError for a document of lists, dicts and scalars that exceeds `limits`."""
    counted, depth, level = 0, 0, [document]
    while level:
        counted += sum(_weight(value) for value in level)
        if counted > limits.values:
            raise DocumentSyntaxError(too_many_values(limits))
        level = [member for value in level if isinstance(value, dict | list) for member in _members(value)]
        depth += 1
        if depth > limits.depth:
            raise DocumentSyntaxError(too_deep(limits))


def _weight(value: object) -> int:
    if isinstance(value, dict):
        return 1 + sum(1 + len(key) // CHARACTERS_A_VALUE for key in value)
    return 1 + (len(value) // CHARACTERS_A_VALUE if isinstance(value, str) else 0)


def _members(value: dict[str, object] | list[object]) -> list[object]:
    return list(value.values()) if isinstance(value, dict) else value
