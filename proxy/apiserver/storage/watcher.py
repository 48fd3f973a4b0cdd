"""A watcher: the events of one kind on their way to one client.

Imports this room's history; asyncio only to wait. Invariant: whoever publishes never waits for a watcher; one that
falls behind by more than its bound is ended, and its client watches again from where it was.
"""

import asyncio
from collections import deque

from proxy.apiserver.kinds import Kind
from proxy.apiserver.storage.history import Event


class Watcher:
    """Events of `kind`, in `namespace` or with an empty one everywhere; at most `bound` of them wait."""

    def __init__(self, kind: Kind, namespace: str, bound: int) -> None:
        self._kind = kind
        self._namespace = namespace
        self._bound = bound
        self._waiting: deque[Event] = deque()
        self._changed = asyncio.Event()
        self.ended = False

    @property
    def is_behind(self) -> bool:
        """Whether events wait."""
        return bool(self._waiting)

    def publish(self, event: Event) -> None:
        """Take an event, if it is one of those watched."""
        if event.stored.kind is not self._kind or self._namespace not in ("", event.stored.key[0]):
            return
        if len(self._waiting) >= self._bound:
            self.end()
            return
        self._waiting.append(event)
        self._changed.set()

    def end(self) -> None:
        """Let `next_events` return nothing once it has returned what waits."""
        self.ended = True
        self._changed.set()

    async def next_events(self) -> list[Event]:
        """Wait for events; an empty list says that there will be none any more."""
        await self._changed.wait()
        if not self.ended:
            self._changed.clear()
        events = list(self._waiting)
        self._waiting.clear()
        return events
