"""OpenAPI v3: the documents by which kubectl explains, validates and computes patches.

Invariant: made once; the hash in a document's URL changes with its content,
so clients may keep what they have.
"""

import functools
import hashlib
import json
from collections.abc import Iterator

from proxy.apiserver.document import Document
from proxy.apiserver.http.openapi_schema import group_version_kind, schemas_of
from proxy.apiserver.kinds import KINDS, Kind
from proxy.apiserver.schema.schema import record_of
from proxy.apiserver.writes.patching import PATCH_TYPES

_VERSION = "3.0.0"
WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")


def openapi_index() -> Document:
    """The answer to `/openapi/v3`: the URL of each group and version's document."""
    paths = {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_hash(path)}"} for path in _group_paths()}
    return {"paths": paths}


@functools.cache
def openapi_document(path: str) -> bytes | None:
    """The document of `path`, such as `api/v1` or `apis/discovery.k8s.io/v1`, as JSON; None where there is none."""
    kinds = [kind for kind in KINDS if kind.root == f"/{path}"]
    if not kinds:
        return None
    document = {
        "openapi": _VERSION,
        "info": {"title": "Kubernetes", "version": "svcproxy"},
        "paths": {url: item for kind in kinds for url, item in _paths(kind)},
        "components": {"schemas": schemas_of({kind: record_of(kind) for kind in kinds})},
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _group_paths() -> list[str]:
    return sorted({kind.root.removeprefix("/") for kind in KINDS})


def _hash(path: str) -> str:
    return hashlib.sha256(openapi_document(path) or b"").hexdigest().upper()


def _paths(kind: Kind) -> Iterator[tuple[str, Document]]:
    scope = "/namespaces/{namespace}" if kind.namespaced else ""
    collection = f"{kind.root}{scope}/{kind.plural}"
    yield collection, {"get": _operation(kind, "list"), "post": _operation(kind, "post", _body(kind))}
    yield (
        f"{collection}/{{name}}",
        {
            "get": _operation(kind, "get"),
            "put": _operation(kind, "put", _body(kind)),
            "patch": _operation(kind, "patch", {"content": {media: {"schema": {}} for media in PATCH_TYPES}}),
            "delete": _operation(kind, "delete"),
        },
    )


def _operation(kind: Kind, action: str, body: Document | None = None) -> Document:
    """An operation; those with a body take the parameters of a write, by which kubectl knows that the server is the
    one to find unknown fields."""
    operation = {
        "operationId": operation_id(kind, action),
        "responses": {"200": {"description": "OK", **_content(kind)}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": group_version_kind(kind),
    }
    if body is None:
        return operation
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in WRITE_PARAMETERS]
    return {**operation, "parameters": parameters, "requestBody": body}


def operation_id(kind: Kind, action: str) -> str:
    """A name that no other operation has."""
    return f"{action}{kind.group.title().replace('.', '')}{kind.version.title()}{kind.kind}"


def _body(kind: Kind) -> Document:
    return {"required": True, **_content(kind)}


def _content(kind: Kind) -> Document:
    reference = {"$ref": f"#/components/schemas/{record_of(kind).full_name}"}
    return {"content": {"application/json": {"schema": reference}}}
