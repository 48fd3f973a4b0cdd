"""DocumentSyntaxError: text that is neither YAML nor JSON.

Invariant: the message is one line and begins with the position, where there is one.
"""


class DocumentSyntaxError(Exception):
    """For example `line 12, column 5: mapping values are not allowed in this context`."""


def at(line: int, column: int, message: str) -> DocumentSyntaxError:
    """The error with its position; both count from 1. Line breaks in `message` become blanks."""
    return DocumentSyntaxError(" ".join(f"line {line}, column {column}: {message}".split()))
