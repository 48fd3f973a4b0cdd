"""A watcher: the events of one kind on their way to one client.

Invariant: whoever publishes never waits for a watcher; one that falls behind by more than its bound is ended, and its
client watches again from where it was.
"""

import asyncio
from collections import deque

from proxy.apiserver.kinds import Kind
from proxy.apiserver.storage.history import Event


class Watcher:
    """Events of `kind`, in `namespace` or with an empty one everywhere. Those that wait hold `most_bytes` of objects,
    or are a single one."""

    def __init__(self, kind: Kind, namespace: str, most_bytes: int) -> None:
        self._kind = kind
        self._namespace = namespace
        self._most_bytes = most_bytes
        self._bytes = 0
        self._waiting: deque[Event] = deque()
        self._changed = asyncio.Event()
        self.ended = False

    @property
    def is_behind(self) -> bool:
        """Whether events wait."""
        return bool(self._waiting)

    def publish(self, event: Event) -> None:
        """Take an event, if it is one of those watched."""
        if self.ended or not event.is_about(self._kind, self._namespace):
            return
        if self._waiting and self._bytes + event.bytes_held > self._most_bytes:
            self.end()
            return
        self._bytes += event.bytes_held
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
        self._bytes = 0
        return events
