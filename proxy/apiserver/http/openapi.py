"""OpenAPI v3: the documents by which kubectl explains, validates and computes patches.

Invariant: made once; the hash in a document's URL changes with its content,
so clients may keep what they have.
"""

import functools
import hashlib
import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from proxy.apiserver.document import Document
from proxy.apiserver.http.openapi_schema import group_version_kind, schemas_of
from proxy.apiserver.kinds import SERVED, Kind
from proxy.apiserver.schema.schema import record_of
from proxy.apiserver.writes.patching import PATCH_TYPES

_VERSION = "3.0.0"
WRITE_PARAMETERS = ("dryRun", "fieldManager", "fieldValidation")
_WRITE: Mapping[str, str] = MappingProxyType(dict.fromkeys(WRITE_PARAMETERS, "string"))
_LIST: Mapping[str, str] = MappingProxyType(
    {
        "allowWatchBookmarks": "boolean",
        "continue": "string",
        "fieldSelector": "string",
        "labelSelector": "string",
        "limit": "integer",
        "resourceVersion": "string",
        "resourceVersionMatch": "string",
        "sendInitialEvents": "boolean",
        "timeoutSeconds": "integer",
        "watch": "boolean",
    }
)
_DELETE: Mapping[str, str] = MappingProxyType(
    {"dryRun": "string", "gracePeriodSeconds": "integer", "orphanDependents": "boolean", "propagationPolicy": "string"}
)
_PARAMETERS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "create": _WRITE,
        "update": _WRITE,
        "patch": {**_WRITE, "force": "boolean"},
        "list": _LIST,
        "delete": _DELETE,
        "deletecollection": {**_DELETE, **_LIST},
    }
)
_ACTIONS: Mapping[str, str] = MappingProxyType({"create": "post", "update": "put"})
_ON_COLLECTION: Mapping[str, str] = MappingProxyType({"get": "list", "post": "create", "delete": "deletecollection"})
_ON_OBJECT: Mapping[str, str] = MappingProxyType({"get": "get", "put": "update", "patch": "patch", "delete": "delete"})


def openapi_index() -> Document:
    """The answer to `/openapi/v3`: the URL of each group and version's document."""
    paths = {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={_hash(path)}"} for path in _group_paths()}
    return {"paths": paths}


@functools.cache
def openapi_document(path: str) -> bytes | None:
    """The document of `path`, such as `api/v1` or `apis/discovery.k8s.io/v1`, as JSON; None where there is none."""
    kinds = [kind for kind in SERVED if kind.root == f"/{path}"]
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
    return sorted({kind.root.removeprefix("/") for kind in SERVED})


def _hash(path: str) -> str:
    return hashlib.sha256(openapi_document(path) or b"").hexdigest().upper()


def _paths(kind: Kind) -> Iterator[tuple[str, Document]]:
    """The paths of one kind, with those operations that it has."""
    everywhere = f"{kind.root}/{kind.plural}"
    collection = f"{kind.root}/namespaces/{{namespace}}/{kind.plural}" if kind.namespaced else everywhere
    operations = {verb: _operation(kind, verb) for verb in kind.verbs if verb != "watch"}
    if kind.namespaced and "list" in operations:
        everywhere_list = {**operations["list"], "operationId": f"{operation_id(kind, 'list')}ForAllNamespaces"}
        yield everywhere, {"get": everywhere_list}
    for path, verbs in ((collection, _ON_COLLECTION), (f"{collection}/{{name}}", _ON_OBJECT)):
        found = {method: operations[verb] for method, verb in verbs.items() if verb in operations}
        if found:
            yield path, {**found, "parameters": _of_path(path)}


def _of_path(path: str) -> list[Document]:
    names = [name for name in ("name", "namespace") if f"{{{name}}}" in path]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _operation(kind: Kind, verb: str) -> Document:
    """An operation; kubectl knows by the parameters of a write that the server finds unknown fields."""
    code = "201" if verb == "create" else "200"
    operation: Document = {
        "operationId": operation_id(kind, verb),
        "responses": {code: {"description": "OK", **_content(kind)}},
        "x-kubernetes-action": _ACTIONS.get(verb, verb),
        "x-kubernetes-group-version-kind": group_version_kind(kind),
    }
    if parameters := _PARAMETERS.get(verb):
        operation["parameters"] = [
            {"name": name, "in": "query", "schema": {"type": type_name, "uniqueItems": True}}
            for name, type_name in parameters.items()
        ]
    if verb == "patch":
        operation["requestBody"] = {"content": {media: {"schema": {}} for media in PATCH_TYPES}}
    elif verb in ("create", "update"):
        operation["requestBody"] = {"required": True, **_content(kind)}
    return operation


def operation_id(kind: Kind, action: str) -> str:
    """A name that no other operation has."""
    return f"{action}{kind.group.title().replace('.', '')}{kind.version.title()}{kind.kind}"


def _content(kind: Kind) -> Document:
    reference = {"$ref": f"#/components/schemas/{record_of(kind).full_name}"}
    return {"content": {"application/json": {"schema": reference}}}
