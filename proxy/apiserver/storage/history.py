"""History: the last events of the store, for watches that start in the past and lists that go on.

Invariants: events are in the order of their resourceVersions without a gap, and what is asked about a time before the
first is answered by None, never by half of it. What the history alone keeps alive takes no more than its bytes.
"""

from collections import deque
from collections.abc import Iterator, Mapping

import msgspec

from proxy.apiserver.document import Key, Stored, Version
from proxy.apiserver.kinds import Kind

_BYTES_OF_AN_EVENT = 500
"""What an event takes beside the objects' own bytes."""


class Event(msgspec.Struct, frozen=True):
    """One change. `stored` is the new version, in a deletion the last one under the deletion's resourceVersion;
    `before` is the version that it replaced."""

    stored: Version
    before: Version | None = None
    deleted: bool = False

    @property
    def bytes_kept(self) -> int:
        """How much is freed with this event: the replaced version, and a deleted one, are in no other that is left."""
        replaced = len(self.before.encoded) if self.before is not None else 0
        return _BYTES_OF_AN_EVENT + replaced + (len(self.stored.encoded) if self.deleted else 0)

    @property
    def bytes_held(self) -> int:
        """How much it keeps alive while it waits for a client."""
        return _BYTES_OF_AN_EVENT + len(self.stored.encoded) + (len(self.before.encoded) if self.before else 0)

    def is_about(self, kind: Kind, namespace: str) -> bool:
        """Whether it changes an object of `kind`, in `namespace` or with an empty one anywhere."""
        return self.stored.kind is kind and namespace in ("", self.stored.key[0])


class History:
    """The last events, as many as `most_bytes` hold; it begins after `version`."""

    def __init__(self, version: int, most_bytes: int) -> None:
        self._events: deque[Event] = deque()
        self._most_bytes = most_bytes
        self._bytes = 0
        self.begins_after = version

    def add(self, event: Event) -> None:
        """Take the next event."""
        self._events.append(event)
        self._bytes += event.bytes_kept
        while self._bytes > self._most_bytes:
            forgotten = self._events.popleft()
            self._bytes -= forgotten.bytes_kept
            self.begins_after = forgotten.stored.version

    def since(self, version: int, kind: Kind, namespace: str = "") -> list[Event] | None:
        """Every event about `kind` in `namespace` after `version`, or None if some of them are forgotten."""
        if version < self.begins_after:
            return None
        return [event for event in self._back_to(version) if event.is_about(kind, namespace)][::-1]

    def snapshot(self, now: Mapping[Key, Stored], kind: Kind, version: int) -> dict[Key, Stored | Version] | None:
        """The objects of `kind` as they were at `version`, worked out backwards from `now`; None if forgotten."""
        if version < self.begins_after:
            return None
        objects: dict[Key, Stored | Version] = dict(now)
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
