"""What a watch shows: the things that are new, that are other than they were when they were last seen, and that have
gone.

Pure. Invariants: what only time changes (ages, bytes) is no news; a look that may have left something out says of
nothing that it has gone.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

from proxy.client.columns import Column

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"


class News(NamedTuple):
    """`event` is in the words of Kubernetes' watches; `thing` is as it is, or as it was last if it has gone."""

    event: str
    thing: Any


EVENT = Column("EVENT", lambda news: news.event)
"""The first column where the events are asked for, as kubectl's `--output-watch-events` has it."""


class Watch:
    """Remembers what was seen."""

    def __init__(self, columns: Sequence[Column], identity: Callable[[Any], Hashable]) -> None:
        self._columns = [column for column in columns if not column.passing]
        self._identity = identity
        self._seen: dict[Hashable, tuple[Any, tuple[str, ...]]] = {}

    def look(self, things: Iterable[Any], complete: bool = True) -> list[News]:
        """The news since the last look, what has gone first; `complete` is whether `things` are all there are."""
        now = {
            self._identity(thing): (thing, tuple(column.text(thing) for column in self._columns)) for thing in things
        }
        before, self._seen = self._seen, now
        gone = [News(DELETED, thing) for name, (thing, _) in before.items() if name not in now] if complete else []
        return gone + [
            News(MODIFIED if name in before else ADDED, thing)
            for name, (thing, cells) in now.items()
            if name not in before or before[name][1] != cells
        ]


def of_news(column: Column) -> Column:
    """A column of things as one of news about them."""
    text, order = column.text, column.order or column.text
    return column._replace(
        text=lambda news: column.gone if column.gone and news.event == DELETED else text(news.thing),
        order=lambda news: order(news.thing),
    )
