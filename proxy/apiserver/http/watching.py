"""Watching: the stream of events that a client asked for.

Invariant: from its first event on the stream has no gap and no repetition; it ends after its timeout, when the client
falls behind, or when the API stops, and the client goes on from where it was.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from random import Random
from typing import NamedTuple

import msgspec

from proxy.apiserver import status
from proxy.apiserver.document import Document, Version, with_metadata
from proxy.apiserver.http.listing import NOT_OLDER_THAN, selection, version_of, whole_number
from proxy.apiserver.http.query_flag import query_flag
from proxy.apiserver.http.representation import WatchEvent
from proxy.apiserver.http.selectors import Selection
from proxy.apiserver.http.target import Target
from proxy.apiserver.storage.history import Event
from proxy.apiserver.storage.store import Store
from proxy.model.field_errors import forbidden, not_supported
from proxy.model.problem import FieldError

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
BOOKMARK_INTERVAL = 60.0
_SHORTEST, _LONGEST = 1800.0, 3600.0


class WatchRequest(NamedTuple):
    """What a client asked for; `since` None is the state of now and what comes after it, 0 only what comes; seconds."""

    target: Target
    selection: Selection
    since: int | None
    initial_events_end: bool
    bookmarks: bool
    timeout: float


def watch_request(target: Target, query: Mapping[str, str], random: Random) -> WatchRequest:
    """Read a query. Raises StatusError (400, 422, 500)."""
    asked, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    bookmarks = query_flag(query, "allowWatchBookmarks")
    errors = tuple(_match_errors("sendInitialEvents" in query, match))
    if errors:
        raise status.invalid_options("ListOptions", errors)
    streams_list = query_flag(query, "sendInitialEvents")
    from_now = asked in ("", "0") and "sendInitialEvents" not in query
    since = None if streams_list or from_now else version_of(asked or "0")
    # Clients that do not say are spread, so that they do not all come back at once.
    seconds = float(whole_number(query, "timeoutSeconds")) or random.uniform(_SHORTEST, _LONGEST)
    return WatchRequest(target, selection(target, query), since, streams_list and bookmarks, bookmarks, seconds)


def _match_errors(sends_initial_events: bool, match: str) -> Iterator[FieldError]:
    field = "resourceVersionMatch"
    if sends_initial_events and match != NOT_OLDER_THAN:
        yield forbidden(field, f"sendInitialEvents requires setting {field} to {NOT_OLDER_THAN}")
    if match and not sends_initial_events:
        yield forbidden(field, f"{field} is forbidden for watch unless sendInitialEvents is provided")
    if match not in ("", NOT_OLDER_THAN):
        yield not_supported(field, match, (NOT_OLDER_THAN,))


async def watch_events(store: Store, request: WatchRequest) -> AsyncGenerator[WatchEvent, None]:
    """Every event of the stream. Raises StatusError (410) if the past that is asked for is forgotten."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + request.timeout
    with store.watching(request.target.kind, request.target.namespace) as watcher:
        for event in _beginning(store, request):
            yield event
        while (left := deadline - clock()) > 0:
            try:
                async with asyncio.timeout(min(left, BOOKMARK_INTERVAL)):
                    events = await watcher.next_events()
            except TimeoutError:
                if request.bookmarks and not watcher.is_behind:
                    yield _bookmark(request.target, store.version)
                continue
            if not events:
                return
            for each in events:
                # Of a future that was asked for, only what is later than that is seen.
                if each.stored.version > (request.since or 0) and (seen := _seen(each, request.selection)):
                    yield seen


def _beginning(store: Store, request: WatchRequest) -> Iterator[WatchEvent]:
    target, version = request.target, store.version
    if request.since is not None:
        # No version is 0: it stands for the newest, when what is there already is not wanted.
        for event in store.events_since(request.since or version, target.kind, target.namespace):
            if (seen := _seen(event, request.selection)) is not None:
                yield seen
        return
    for key, stored in sorted(store.objects(target.kind).items()):
        if target.namespace in ("", key[0]) and request.selection.matches(stored.document):
            yield WatchEvent("ADDED", stored.as_version)
    if request.initial_events_end:
        yield _bookmark(target, version, {INITIAL_EVENTS_END: "true"})


def _seen(event: Event, chosen: Selection) -> WatchEvent | None:
    """The event as a client sees it that sees only what is `chosen`: an object may come into sight and leave it."""
    before = event.before
    now = not event.deleted and chosen.takes(event.stored)
    was = before is not None and chosen.takes(before)
    if now:
        return WatchEvent("MODIFIED" if was else "ADDED", event.stored)
    if before is None or not was:
        return None
    return WatchEvent("DELETED", event.stored if event.deleted else _as_of(before, event.stored.version))


def _as_of(before: Version, version: int) -> Version:
    """What a client loses sight of: as it last was, under the version of now."""
    document = with_metadata(before.document, resourceVersion=str(version))
    return msgspec.structs.replace(before, encoded=msgspec.json.encode(document), version=version)


def _bookmark(target: Target, version: int, annotations: Mapping[str, str] | None = None) -> WatchEvent:
    metadata: Document = {"resourceVersion": str(version), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = dict(annotations)
    kind = target.kind
    document = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
    return WatchEvent("BOOKMARK", Version(kind, ("", ""), msgspec.json.encode(document), version))
