"""Answers: representations and errors as HTTP responses.

Invariant: an answer's Content-Type is the one that its client prefers among those that can be given; an error that no
form fits is JSON.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from proxy.apiserver.document import Document, Stored, Version
from proxy.apiserver.http.listing import ListPage
from proxy.apiserver.http.negotiation import JSON, MEDIA_TYPES, PROTOBUF, STREAMED, Form, answer_form
from proxy.apiserver.http.representation import Representation, status_bytes
from proxy.apiserver.kinds import Kind
from proxy.apiserver.status import Status, StatusError
from proxy.apiserver.tables.tables import METADATA


def json_answer(document: object, code: int = 200) -> web.Response:
    """Any document as JSON, whatever the client prefers."""
    return web.Response(body=msgspec.json.encode(document), status=code, content_type=JSON)


def status_answer(request: web.Request | None, status: Status) -> web.Response:
    """A Status with its code as the HTTP status."""
    form = _form_of_errors(request)
    code = status.code or 200
    response = web.Response(body=status_bytes(form, status.document()), status=code, content_type=form.media_type)
    if status.details is not None and status.details.retry_after_seconds:
        response.headers["Retry-After"] = str(status.details.retry_after_seconds)
    return response


def object_answer(
    request: web.Request, kind: Kind, found: Stored | Document, code: int = 200, warnings: Iterable[str] = ()
) -> web.Response:
    """One object, and warnings as kubectl prints them. Raises StatusError (400, 406)."""
    representation = representation_of(request, kind)
    body = representation.one(found)
    response = web.Response(body=body, status=code, content_type=representation.form.media_type)
    add_warnings(response, warnings)
    return response


def add_warnings(response: web.StreamResponse, warnings: Iterable[str]) -> None:
    """Headers that kubectl prints as warnings; before the response is prepared."""
    for warning in warnings:
        quoted = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{quoted}"')


def list_answer(request: web.Request, kind: Kind, page: ListPage) -> web.Response:
    """A list. Raises StatusError (400, 406)."""
    metadata: Document = {"resourceVersion": str(page.version)}
    if page.rest:
        metadata["continue"] = page.rest
    if page.remaining is not None:
        metadata["remainingItemCount"] = page.remaining
    representation = representation_of(request, kind)
    return web.Response(body=representation.many(page.items, metadata), content_type=representation.form.media_type)


def deleted_answer(request: web.Request, kind: Kind, documents: Iterable[Document], version: int) -> web.Response:
    """The list of what was deleted, as of `version`. Raises StatusError (400, 406)."""
    items: list[Stored | Version] = [
        Version(kind, ("", ""), msgspec.json.encode(document), version) for document in documents
    ]
    return list_answer(request, kind, ListPage(items, version))


def stream_answer(form: Form) -> web.StreamResponse:
    """The answer of a watch, of which nothing is sent yet."""
    media_type = f"{form.media_type};stream=watch" if form.media_type == PROTOBUF else form.media_type
    return web.StreamResponse(headers={"Content-Type": media_type, "Cache-Control": "no-cache, private"})


def representation_of(request: web.Request, kind: Kind, media_types: tuple[str, ...] = MEDIA_TYPES) -> Representation:
    """How the client wants objects of `kind`. Raises StatusError (406)."""
    form = answer_form(request.headers.get("Accept", ""), media_types)
    return Representation(form, kind, request.query.get("includeObject") or METADATA, datetime.now(UTC))


def watch_representation(request: web.Request, kind: Kind) -> Representation:
    """How the client wants the events of a watch. Raises StatusError (406)."""
    return representation_of(request, kind, STREAMED)


def _form_of_errors(request: web.Request | None) -> Form:
    try:
        return answer_form(request.headers.get("Accept", "")) if request is not None else Form()
    except StatusError:
        return Form()
