"""Watching: the stream of events that a client asked for.

Imports this room; aiohttp carries it. Invariant: from its first event on the stream has no gap and no repetition; it
ends after its timeout, when the client falls behind, or when the API stops, and the client goes on from where it was.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from random import Random
from typing import NamedTuple

from proxy.apiserver import status
from proxy.apiserver.document import Document, with_metadata
from proxy.apiserver.http.listing import selection, version_of
from proxy.apiserver.http.query_flag import query_flag
from proxy.apiserver.http.selectors import Matches
from proxy.apiserver.http.target import Target
from proxy.apiserver.storage.history import Event
from proxy.apiserver.storage.store import Store

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
BOOKMARK_INTERVAL = 60.0
_SHORTEST, _LONGEST = 1800.0, 3600.0


class WatchEvent(NamedTuple):
    """One line of the stream: ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    document: Document


class WatchRequest(NamedTuple):
    """What a client asked for; `since` None is the state of now and what comes after it, 0 only what comes; seconds."""

    target: Target
    matches: Matches
    since: int | None
    initial_events_end: bool
    bookmarks: bool
    timeout: float


def watch_request(target: Target, query: Mapping[str, str], random: Random) -> WatchRequest:
    """Read a query. Raises StatusError (400, 422)."""
    asked = query.get("resourceVersion", "")
    bookmarks = query_flag(query, "allowWatchBookmarks")
    if "sendInitialEvents" in query and query.get("resourceVersionMatch") != "NotOlderThan":
        raise status.bad_option(
            "ListOptions", "resourceVersionMatch", "Forbidden: sendInitialEvents requires setting resourceVersionMatch"
        )
    streams_list = query_flag(query, "sendInitialEvents")
    from_now = asked in ("", "0") and "sendInitialEvents" not in query
    since = None if streams_list or from_now else version_of(asked or "0")
    timeout = query.get("timeoutSeconds", "")
    if timeout and not (timeout.isascii() and timeout.isdecimal()):
        raise status.bad_request(f'timeoutSeconds: Invalid value: "{timeout}": must be a number')
    # Clients that do not say are spread, so that they do not all come back at once.
    seconds = float(timeout or 0) or random.uniform(_SHORTEST, _LONGEST)
    return WatchRequest(target, selection(target, query), since, streams_list and bookmarks, bookmarks, seconds)


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
                    yield _bookmark(store, request.target)
                continue
            if not events:
                return
            for each in events:
                if (seen := _seen(each, request.matches)) is not None:
                    yield seen


def _beginning(store: Store, request: WatchRequest) -> Iterator[WatchEvent]:
    target = request.target
    if request.since is not None:
        # No version is 0: it stands for the newest, when what is there already is not wanted.
        for event in store.events_since(request.since or store.version):
            if event.stored.kind is target.kind and target.namespace in ("", event.stored.key[0]):
                seen = _seen(event, request.matches)
                if seen is not None:
                    yield seen
        return
    for key, stored in sorted(store.objects(target.kind).items()):
        if target.namespace in ("", key[0]) and request.matches(stored.document):
            yield WatchEvent("ADDED", stored.document)
    if request.initial_events_end:
        yield _bookmark(store, target, {INITIAL_EVENTS_END: "true"})


def _seen(event: Event, matches: Matches) -> WatchEvent | None:
    """The event as a client sees it that sees only what `matches`: an object may come into sight and leave it."""
    document, before = event.stored.document, event.before
    now = not event.deleted and matches(document)
    was = before is not None and matches(before.document)
    if now:
        return WatchEvent("MODIFIED" if was else "ADDED", document)
    if before is None or not was:
        return None
    return WatchEvent("DELETED", with_metadata(before.document, resourceVersion=str(event.stored.version)))


def _bookmark(store: Store, target: Target, annotations: Mapping[str, str] | None = None) -> WatchEvent:
    metadata: Document = {"resourceVersion": str(store.version), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = dict(annotations)
    kind = target.kind
    return WatchEvent("BOOKMARK", {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata})
