"""What a watch shows: the things that are new, or other than they were when they were last seen.

Imports this room's columns. Pure. Invariant: what only time changes (ages, bytes) is no news.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

from proxy.client.columns import Column


class Watch:
    """Remembers what was seen."""

    def __init__(self, columns: Sequence[Column], identity: Callable[[Any], Hashable]) -> None:
        self._columns = [column for column in columns if not column.passing]
        self._identity = identity
        self._seen: dict[Hashable, tuple[str, ...]] = {}

    def news(self, things: Iterable[Any]) -> list[Any]:
        """Those to show; what is no longer there is forgotten, so that it is news when it comes back."""
        now = {
            self._identity(thing): (thing, tuple(column.text(thing) for column in self._columns)) for thing in things
        }
        found = [thing for name, (thing, cells) in now.items() if self._seen.get(name) != cells]
        self._seen = {name: cells for name, (_, cells) in now.items()}
        return found
