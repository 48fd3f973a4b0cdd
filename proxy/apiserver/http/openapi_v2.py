"""OpenAPI v2: the document by which kubectl before 1.27 explains and validates, and every kubectl validates a List.

Field numbers are those of gnostic's openapiv2/OpenAPIv2.proto, the form in which kubectl reads this document; other
clients ask for JSON. Invariant: says the same as the v3 documents; made once.
"""

import functools
import json
from collections.abc import Iterator

from proxy.apiserver.document import Document
from proxy.apiserver.http.openapi import WRITE_PARAMETERS, operation_id
from proxy.apiserver.http.openapi_schema import REFERENCE_PREFIX, group_version_kind, schemas_of
from proxy.apiserver.kinds import SERVED, Kind
from proxy.apiserver.schema.protobuf import message, text, texts
from proxy.apiserver.schema.schema import record_of

_GROUP_VERSION_KIND = "x-kubernetes-group-version-kind"


@functools.cache
def openapi_v2_document() -> bytes:
    """`openapi.v2.Document`, in protobuf."""
    schemas = schemas_of({kind: record_of(kind) for kind in SERVED})
    return b"".join(
        (
            text(1, "2.0"),
            message(2, text(1, "Kubernetes"), text(2, "svcproxy")),
            message(8, *(_path(kind) for kind in SERVED if "patch" in kind.verbs)),
            message(9, *(_named(1, name, _schema(schema)) for name, schema in schemas.items())),
        )
    )


@functools.cache
def openapi_v2_json() -> bytes:
    """The same document in JSON."""
    schemas = schemas_of({kind: record_of(kind) for kind in SERVED})
    document = {
        "swagger": "2.0",
        "info": {"title": "Kubernetes", "version": "svcproxy"},
        "paths": {_url(kind): {"patch": _patch(kind)} for kind in SERVED if "patch" in kind.verbs},
        "definitions": {name: _definition(schema) for name, schema in schemas.items()},
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _definition(schema: Document) -> Document:
    """A schema of version 3 as version 2 has it."""
    if "allOf" in schema:
        (reference,) = schema["allOf"]
        said = {"description": schema["description"]} if "description" in schema else {}
        return {**said, "$ref": f"#/definitions/{reference['$ref'].removeprefix(REFERENCE_PREFIX)}"}
    found = {name: value for name, value in schema.items() if name not in ("oneOf", "properties")}
    if "oneOf" in schema:
        found["type"] = "string"
    if "properties" in schema:
        found["properties"] = {name: _definition(value) for name, value in schema["properties"].items()}
    for name in ("items", "additionalProperties"):
        if name in schema:
            found[name] = _definition(schema[name])
    return found


def _patch(kind: Kind) -> Document:
    return {
        "operationId": operation_id(kind, "patch"),
        "parameters": [
            {"in": "query", "name": name, "type": "string", "uniqueItems": True} for name in WRITE_PARAMETERS
        ],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": "patch",
        _GROUP_VERSION_KIND: group_version_kind(kind),
    }


def _url(kind: Kind) -> str:
    scope = "/namespaces/{namespace}" if kind.namespaced else ""
    return f"{kind.root}{scope}/{kind.plural}/{{name}}"


def _path(kind: Kind) -> bytes:
    """`Paths.path`: the PATCH of one kind, by whose parameters kubectl knows that there are dry runs."""
    operation = message(
        8,
        *(_query_parameter(name) for name in WRITE_PARAMETERS),
        _extension(13, _GROUP_VERSION_KIND, group_version_kind(kind)),
    )
    return _named(2, _url(kind), operation)


def _query_parameter(name: str) -> bytes:
    """`Operation.parameters`, a ParametersItem that is a Parameter that is no body but a query parameter."""
    return message(8, message(1, message(2, message(3, text(2, "query"), text(4, name), text(6, "string")))))


def _schema(schema: Document) -> bytes:
    """The content of a `Schema`."""
    return b"".join(_schema_fields(schema))


def _schema_fields(schema: Document) -> Iterator[bytes]:
    yield text(4, schema.get("description", ""))
    if "allOf" in schema:
        (reference,) = schema["allOf"]
        yield text(1, f"#/definitions/{reference['$ref'].removeprefix(REFERENCE_PREFIX)}")
        return
    yield text(2, schema.get("format", ""))
    # Version 2 has no alternatives; what may be a number or a text is a text there.
    yield message(22, text(1, "string" if "oneOf" in schema else schema["type"]))
    yield texts(19, schema.get("required", []))
    if "additionalProperties" in schema:
        yield message(21, message(1, _schema(schema["additionalProperties"])))
    if "items" in schema:
        yield message(23, message(1, _schema(schema["items"])))
    if "properties" in schema:
        yield message(25, *(_named(1, name, _schema(value)) for name, value in schema["properties"].items()))
    for name, value in schema.items():
        if name.startswith("x-"):
            yield _extension(31, name, value)


def _extension(number: int, name: str, value: object) -> bytes:
    """A NamedAny; its YAML is JSON."""
    return _named(number, name, text(2, json.dumps(value)))


def _named(number: int, name: str, content: bytes) -> bytes:
    """One of the messages Named…, with its name and its value."""
    return message(number, text(1, name), message(2, content))
