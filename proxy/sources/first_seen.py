"""FirstSeen: gives Services of manifests the age that no API server gave them.

Imports `model`. Pure; the time is an argument. Invariant: a Service keeps the moment it was first seen until it is
removed, and one that states its own creationTimestamp keeps that.
"""

from msgspec.structs import replace

from proxy.model.changes import Changes, ObjectKey
from proxy.model.service import Service


class FirstSeen:
    """Remembers when each Service appeared."""

    def __init__(self) -> None:
        self._moments: dict[ObjectKey, str] = {}

    def stamped(self, changes: Changes, now: str) -> Changes:
        """The same changes with a creationTimestamp on every Service; `now` is RFC 3339."""
        for key in changes.removed_services:
            self._moments.pop(key, None)
        if not changes.services:
            return changes
        return replace(changes, services=tuple(self._stamp(service, now) for service in changes.services))

    def _stamp(self, service: Service, now: str) -> Service:
        if service.metadata.creation_timestamp:
            return service
        moment = self._moments.setdefault(service.key, now)
        return replace(service, metadata=replace(service.metadata, creation_timestamp=moment))
