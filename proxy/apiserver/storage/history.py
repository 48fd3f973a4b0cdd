"""History: the last events of the store, for watches that start in the past and lists that go on.

Imports this room's documents. Invariant: events are in the order of their resourceVersions without a gap, and what is
asked about a time before the first is answered by None, never by half of it.
"""

from collections import deque
from collections.abc import Iterator, Mapping

import msgspec

from proxy.apiserver.document import Key, Stored
from proxy.apiserver.kinds import Kind


class Event(msgspec.Struct, frozen=True):
    """One change. `stored` is the new version, in a deletion the last one under the deletion's resourceVersion;
    `before` is the version that it replaced."""

    stored: Stored
    before: Stored | None = None
    deleted: bool = False


class History:
    """The last `limit` events; it begins after `version`."""

    def __init__(self, version: int, limit: int) -> None:
        self._events: deque[Event] = deque()
        self._limit = limit
        self.begins_after = version

    def add(self, event: Event) -> None:
        """Take the next event."""
        self._events.append(event)
        if len(self._events) > self._limit:
            self.begins_after = self._events.popleft().stored.version

    def since(self, version: int) -> list[Event] | None:
        """Every event after `version`, or None if some of them are forgotten."""
        return None if version < self.begins_after else list(reversed(list(self._back_to(version))))

    def snapshot(self, now: Mapping[Key, Stored], kind: Kind, version: int) -> dict[Key, Stored] | None:
        """The objects of `kind` as they were at `version`, worked out backwards from `now`; None if forgotten."""
        if version < self.begins_after:
            return None
        objects = dict(now)
        for event in self._back_to(version):
            if event.stored.kind is kind:
                objects.pop(event.stored.key, None)
                if event.before is not None:
                    objects[event.stored.key] = event.before
        return objects

    def _back_to(self, version: int) -> Iterator[Event]:
        for event in reversed(self._events):
            if event.stored.version <= version:
                return
            yield event
