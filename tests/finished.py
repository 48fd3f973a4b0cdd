"""Work that is done in steps, done at once."""

from collections.abc import Generator
from typing import TypeVar

Result = TypeVar("Result")


def finished(work: Generator[None, None, Result]) -> Result:
    """What the work gives in the end."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Result = end.value
            return result
