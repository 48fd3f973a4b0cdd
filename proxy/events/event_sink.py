"""Where Events are written: the API that the Services come from.

Invariant: an answer of the API is a value, whatever it says; only the way to it may fail.
"""

from typing import Any, NamedTuple, Protocol


class SinkAnswer(NamedTuple):
    """An HTTP status, and what was said with it."""

    code: int
    message: str = ""


class EventSink(Protocol):
    """Raises OSError where the API cannot be reached."""

    async def create(self, namespace: str, document: dict[str, Any]) -> SinkAnswer:
        """Create an Event."""
        ...

    async def patch(self, namespace: str, name: str, changes: dict[str, Any]) -> SinkAnswer:
        """Merge `changes` into the Event that is there."""
        ...
