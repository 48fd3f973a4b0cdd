"""Resources: the requests that are about objects, from HTTP to operations and back.

Invariant: a method that a kind does not have is refused before anything is read or written.
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from random import Random
from types import MappingProxyType

from aiohttp import web

from proxy.apiserver import status
from proxy.apiserver.document import Document, Stored, metadata_of
from proxy.apiserver.http.answer import (
    deleted_answer,
    list_answer,
    object_answer,
    status_answer,
    stream_answer,
    watch_representation,
)
from proxy.apiserver.http.bodies import decoded_aside, parsed_body
from proxy.apiserver.http.listing import check_known, listed, selection
from proxy.apiserver.http.new_events import stored_event, stored_patch
from proxy.apiserver.http.query_flag import query_flag
from proxy.apiserver.http.representation import status_event
from proxy.apiserver.http.reviews import reviewed
from proxy.apiserver.http.target import OF_A_KUBELET, Target
from proxy.apiserver.http.watching import watch_events, watch_request
from proxy.apiserver.kinds import NAMESPACES, NEW_EVENTS, PODS, REVIEWS, SERVICES
from proxy.apiserver.schema.schema import meta_record, record_of
from proxy.apiserver.schema.schema_types import Record
from proxy.apiserver.storage.store import Store
from proxy.apiserver.writes.object_meta import identified
from proxy.apiserver.writes.operations import Operations
from proxy.apiserver.writes.options import WriteOptions, delete_options, write_options
from proxy.apiserver.writes.patching import APPLY_PATCH, parsed_patch
from proxy.model.field_errors import required

_OPTIONS: Mapping[str, str] = MappingProxyType(
    {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}
)
_NOT_IN_NAMES = ("/", "%")
_ANSWERS_WITH_DELETED = (SERVICES, PODS, NAMESPACES)

_Action = Callable[[web.Request, Target], Awaitable[web.StreamResponse]]


class Resources:
    """`decoder` reads large bodies, `random` spreads the ends of watches."""

    def __init__(self, store: Store, operations: Operations, decoder: Executor, random: Random) -> None:
        self._store = store
        self._operations = operations
        self._decoder = decoder
        self._random = random
        self._on_collection: Mapping[str, tuple[str, _Action]] = MappingProxyType(
            {
                "GET": ("list", self._list),
                "POST": ("create", self._create),
                "DELETE": ("deletecollection", self._delete_collection),
            }
        )
        self._on_object: Mapping[str, tuple[str, _Action]] = MappingProxyType(
            {
                "GET": ("get", self._get),
                "PUT": ("update", self._update),
                "PATCH": ("patch", self._patch),
                "DELETE": ("delete", self._delete),
            }
        )

    async def answer(self, request: web.Request, target: Target) -> web.StreamResponse:
        """Do what the request asks. Raises StatusError."""
        if target.kind in REVIEWS and request.method == "POST" and not target.name:
            question = identified(target.kind, (await self._body(request, target))[0], "", "")
            return object_answer(request, target.kind, reviewed(target.kind, question), 201)
        if forbidden := [word for word in _NOT_IN_NAMES if word in target.name]:
            raise status.bad_request(f"Name parameter invalid: \"{target.name}\": may not contain '{forbidden[0]}'")
        if target.subresource in OF_A_KUBELET:
            self._require(target)
            raise status.no_kubelet(target.subresource)
        watch = target.watch or query_flag(request.query, "watch")
        if request.method == "GET" and watch and not target.subresource:
            return await self._watch(request, target)
        verb, action = (self._on_object if target.name else self._on_collection).get(request.method, ("", None))
        refused = target.subresource and verb == "delete"
        across = verb in ("create", "deletecollection") and target.kind.namespaced and not target.namespace
        if action is None or verb not in target.kind.verbs or refused or across:
            raise status.method_not_allowed(target.kind)
        return await action(request, target)

    async def _get(self, request: web.Request, target: Target) -> web.StreamResponse:
        check_known(self._store, request.query)
        return object_answer(request, target.shown, self._require(target))

    def _require(self, target: Target) -> Stored:
        stored = self._store.get(target.kind, target.key)
        if stored is None:
            raise status.not_found(target.kind, target.name)
        return stored

    async def _list(self, request: web.Request, target: Target) -> web.StreamResponse:
        return list_answer(request, target.shown, listed(self._store, target, request.query))

    async def _watch(self, request: web.Request, target: Target) -> web.StreamResponse:
        asked = watch_request(target, request.query, self._random)
        representation = watch_representation(request, target.shown)
        response = stream_answer(representation.form)
        await response.prepare(request)
        try:
            is_first = True
            async with contextlib.aclosing(watch_events(self._store, asked)) as events:
                async for event in events:
                    await response.write(representation.event(event, is_first))
                    is_first = False
        except status.StatusError as error:
            await response.write(status_event(representation.form, error.status.document()))
        await response.write_eof()
        return response

    async def _create(self, request: web.Request, target: Target) -> web.StreamResponse:
        body, duplicates = await self._body(request, target)
        options = _options(request, duplicates)
        written = await self._operations.create(target.kind, target.namespace, body, options)
        return object_answer(request, target.shown, written.document, 201, written.warnings)

    async def _update(self, request: web.Request, target: Target) -> web.StreamResponse:
        body, duplicates = await self._body(request, target)
        options = _options(request, duplicates)
        written = await self._operations.update(target.kind, target.key, body, options, target.subresource)
        code = 201 if written.created else 200
        return object_answer(request, target.shown, written.document, code, written.warnings)

    async def _patch(self, request: web.Request, target: Target) -> web.StreamResponse:
        content, media_type = await request.read(), request.headers.get("Content-Type", "")
        patch = await decoded_aside(self._decoder, content, lambda: parsed_patch(content, media_type))
        if patch.media_type == APPLY_PATCH and not request.query.get("fieldManager"):
            raise status.invalid_options("PatchOptions", (required("fieldManager", "is required for apply patch"),))
        if target.shown is NEW_EVENTS:
            patch = stored_patch(patch)
        options = _options(request, patch.duplicates)
        written = await self._operations.patch(target.kind, target.key, patch, options, target.subresource)
        code = 201 if written.created else 200
        return object_answer(request, target.shown, written.document, code, written.warnings)

    async def _delete(self, request: web.Request, target: Target) -> web.StreamResponse:
        options = delete_options(request.query, await self._delete_body(request))
        written = await self._operations.delete(target.kind, target.key, options)
        if target.kind in _ANSWERS_WITH_DELETED:
            return object_answer(request, target.shown, written.document)
        details = status.Details(
            name=target.name,
            group=target.shown.group,
            kind=target.shown.plural,
            uid=metadata_of(written.document).get("uid", ""),
        )
        return status_answer(request, status.Status("Success", details=details))

    async def _delete_collection(self, request: web.Request, target: Target) -> web.StreamResponse:
        options = delete_options(request.query, await self._delete_body(request))
        matches = selection(target, request.query).matches
        deleted = await self._operations.delete_all(target.kind, target.namespace, matches, options)
        return deleted_answer(request, target.shown, deleted, self._store.version)

    async def _body(self, request: web.Request, target: Target) -> tuple[Document, tuple[str, ...]]:
        document, duplicates = await self._parsed(request, record_of(target.shown))
        return (stored_event(document) if target.shown is NEW_EVENTS else document), duplicates

    async def _delete_body(self, request: web.Request) -> Document | None:
        if not await request.read():
            return None
        return (await self._parsed(request, meta_record("DeleteOptions")))[0]

    async def _parsed(self, request: web.Request, expected: Record) -> tuple[Document, tuple[str, ...]]:
        content, media_type = await request.read(), request.headers.get("Content-Type", "")
        return await decoded_aside(self._decoder, content, lambda: parsed_body(content, media_type, expected))


def _options(request: web.Request, duplicates: tuple[str, ...]) -> WriteOptions:
    return write_options(request.query, request.headers.get("User-Agent", ""), duplicates, _OPTIONS[request.method])
