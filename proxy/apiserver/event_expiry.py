"""Expiry of Events: each goes an hour after it was last written (kube-apiserver's --event-ttl).

Invariant: `expired_events` is pure; what is deleted was looked at in the same moment, so an Event that is written anew
stays.
"""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from proxy.apiserver.document import Key, Stored, metadata_of
from proxy.apiserver.kinds import EVENTS
from proxy.apiserver.status import StatusError
from proxy.apiserver.storage.store import Store
from proxy.apiserver.writes.operations import Operations
from proxy.apiserver.writes.options import DeleteOptions

LIFETIME = timedelta(hours=1)
LOOK_SECONDS = 60.0


def expired_events(events: Iterable[Stored], now: datetime) -> Iterator[tuple[Key, str]]:
    """Key and resourceVersion of those that were last written longer ago than LIFETIME."""
    latest = (now - LIFETIME).strftime("%Y-%m-%dT%H:%M:%SZ")
    for event in events:
        metadata = metadata_of(event.document)
        written = (entry.get("time", "") for entry in metadata.get("managedFields") or ())
        if max((metadata.get("creationTimestamp", ""), *written)) < latest:
            yield event.key, str(event.version)


async def expire_events(store: Store, operations: Operations) -> None:
    """Delete what is expired, now and every minute, until cancelled."""
    while True:
        for key, version in list(expired_events(store.objects(EVENTS).values(), datetime.now(UTC))):
            try:
                await operations.delete(EVENTS, key, DeleteOptions(version=version))
            except StatusError:
                # Gone or written anew meanwhile, or the disk is full, which the store has told: the next look is soon.
                continue
        await asyncio.sleep(LOOK_SECONDS)
