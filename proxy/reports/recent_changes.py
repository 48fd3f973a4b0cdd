"""What changed in the plan of late, for people.

The clock is an argument. Invariants: bounded, however much changes; a change that touches very many Services at once is
one entry.
"""

from collections import deque

import msgspec

from proxy.plan.frontend import Delta, Frontend, Pool
from proxy.reports.plan_difference import PartKey, ServiceParts, describe

CAPACITY = 500
_MOST_SERVICES = 100
"""A delta that touches more than so many Services, as the first state of a cluster does, is told in one line."""


class Change(msgspec.Struct, frozen=True, rename="camel"):
    """One thing that changed. `sequence` counts from 1, `time` is RFC 3339, `service` is namespace/name and empty
    where many are meant; `kind` is one of a closed list, `message` says what, in one line."""

    sequence: int
    time: str
    service: str
    kind: str
    message: str


class RecentChanges:
    """The last `CAPACITY` changes. `record` takes every delta, in order."""

    def __init__(self) -> None:
        self._parts: dict[str, ServiceParts] = {}
        self._owners: dict[PartKey, str] = {}
        self._versions: dict[str, int] = {}
        self._changes: deque[Change] = deque(maxlen=CAPACITY)
        self._last = 0

    @property
    def last(self) -> int:
        """The sequence number of the newest change; 0 before the first."""
        return self._last

    def version_of(self, service: str) -> int:
        """How often a Service's part of the plan has changed, from 0."""
        return self._versions.get(service, 0)

    def since(self, sequence: int = 0) -> tuple[Change, ...]:
        """Those after `sequence`, as far as they are still held, the oldest first."""
        held = len(self._changes)
        wanted = min(held, max(0, self._last - sequence))
        return tuple(self._changes)[held - wanted :]

    def record(self, delta: Delta, time: str) -> None:
        """Take a delta of the plan that was applied at `time`."""
        touched = self._touched(delta)
        for service in touched:
            self._versions[service] = self._versions.get(service, 0) + 1
        if len(touched) > _MOST_SERVICES:
            self._absorb(delta)
            self._add(time, "", "ManyChanged", f"{len(touched)} Services changed at once")
        else:
            before = {service: self._parts_of(service).copy() for service in touched}
            self._absorb(delta)
            for service in touched:
                for kind, message in describe(before[service], self._parts_of(service)):
                    self._add(time, service, kind, message)
        for service in touched:
            if not self._parts_of(service):
                self._parts.pop(service, None)
                del self._versions[service]

    def _parts_of(self, service: str) -> ServiceParts:
        return self._parts.get(service, ServiceParts())

    def _add(self, time: str, service: str, kind: str, message: str) -> None:
        self._last += 1
        self._changes.append(Change(self._last, time, service, kind, message))

    def _touched(self, delta: Delta) -> dict[str, None]:
        """The Services of a delta, without repeats, those that lose a part included."""
        parts: tuple[Pool | Frontend, ...] = (*delta.pools, *delta.frontends)
        gone = (*(part.key for part in parts), *delta.removed_pools, *delta.removed_frontends)
        losing = (self._owners[key] for key in gone if key in self._owners)
        return dict.fromkeys((*(part.service for part in parts), *losing))

    def _absorb(self, delta: Delta) -> None:
        for key in (*delta.removed_pools, *delta.removed_frontends):
            if key in self._owners:
                self._parts[self._owners.pop(key)].remove(key)
        parts: tuple[Pool | Frontend, ...] = (*delta.pools, *delta.frontends)
        for part in parts:
            owner = self._owners.get(part.key)
            if owner is not None:
                self._parts[owner].remove(part.key)
            self._owners[part.key] = part.service
            self._parts.setdefault(part.service, ServiceParts()).put(part)
