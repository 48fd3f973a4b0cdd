"""Answers: objects, lists and errors in the form that the client asked for.

Imports this room; aiohttp carries it. Invariant: every answer is JSON with the API's Content-Type, a Table only where
the client prefers one.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from proxy.apiserver.document import Document, metadata_of
from proxy.apiserver.http.listing import ListPage
from proxy.apiserver.http.negotiation import JSON, wants_table
from proxy.apiserver.http.watching import WatchEvent
from proxy.apiserver.kinds import Kind
from proxy.apiserver.status import Status
from proxy.apiserver.tables.tables import METADATA, table


def json_answer(document: object, code: int = 200, warnings: Iterable[str] = ()) -> web.Response:
    """Any document; warnings as kubectl prints them."""
    response = web.Response(body=msgspec.json.encode(document), status=code, content_type=JSON)
    for warning in warnings:
        quoted = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted}"')
    return response


def status_answer(status: Status) -> web.Response:
    """A Status with its code as the HTTP status."""
    response = json_answer(status.document(), status.code or 200)
    if status.details is not None and status.details.retry_after_seconds:
        response.headers["Retry-After"] = str(status.details.retry_after_seconds)
    return response


def object_answer(
    request: web.Request, kind: Kind, document: Document, code: int = 200, warnings: Iterable[str] = ()
) -> web.Response:
    """One object. Raises StatusError (406)."""
    if wants_table(request.headers.get("Accept", "")):
        version = metadata_of(document).get("resourceVersion", "")
        document = table(kind, [document], datetime.now(UTC), _include_object(request), {"resourceVersion": version})
    return json_answer(document, code, warnings)


def list_answer(request: web.Request, kind: Kind, page: ListPage) -> web.Response:
    """A list. Raises StatusError (406)."""
    metadata: Document = {"resourceVersion": str(page.version)}
    if page.rest:
        metadata["continue"] = page.rest
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    if wants_table(request.headers.get("Accept", "")):
        documents = [stored.document for stored in page.items]
        return json_answer(table(kind, documents, datetime.now(UTC), _include_object(request), metadata))
    items = [msgspec.Raw(stored.encoded) for stored in page.items]
    return json_answer({"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": metadata, "items": items})


class EventLines:
    """Encodes the events of one watch, in the form that the client asked for. Raises StatusError (406)."""

    def __init__(self, request: web.Request, kind: Kind) -> None:
        self._kind = kind
        self._as_table = wants_table(request.headers.get("Accept", ""))
        self._include_object = _include_object(request)
        self._first = True

    def line(self, event: WatchEvent) -> bytes:
        """One line; only the first Table of a watch has column definitions."""
        document = event.document
        if self._as_table:
            version = {"resourceVersion": metadata_of(document).get("resourceVersion", "")}
            rows = [] if event.type == "BOOKMARK" else [document]
            now = datetime.now(UTC)
            document = table(self._kind, rows, now, self._include_object, version, with_columns=self._first)
            self._first = False
        return encoded_event(event.type, document)


def encoded_event(event_type: str, document: Document) -> bytes:
    """One line of a watch."""
    return msgspec.json.encode({"type": event_type, "object": document}) + b"\n"


def _include_object(request: web.Request) -> str:
    return request.query.get("includeObject") or METADATA
