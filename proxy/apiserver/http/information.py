"""Information: what the API says about itself: versions, health, discovery, OpenAPI.

Invariant: read only, and nothing here depends on the objects.
"""

import hashlib
import platform

import msgspec
from aiohttp import web

from proxy import __version__
from proxy.apiserver import status
from proxy.apiserver.http.answer import json_answer
from proxy.apiserver.http.discovery import (
    aggregated,
    aggregated_media_type,
    aggregated_version,
    api_group,
    api_group_list,
    api_resource_list,
    api_versions,
)
from proxy.apiserver.http.health import ENDPOINTS, health
from proxy.apiserver.http.negotiation import JSON, accepted
from proxy.apiserver.http.openapi import openapi_document, openapi_index
from proxy.apiserver.http.openapi_v2 import openapi_v2_document, openapi_v2_json
from proxy.apiserver.kinds import SERVED

KUBERNETES_MINOR = "36"
_OPENAPI_V2 = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
# Clients may ask with an @, and cannot parse an answer that has one.
_OPENAPI_V2_OF_OLD = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def information(request: web.Request) -> web.Response | None:
    """The answer to a GET of a path that is about the API itself, or None for any other path."""
    parts = request.path.strip("/").split("/")
    match parts:
        case [""]:
            return json_answer({"paths": _paths()})
        case ["version"]:
            return json_answer(_version())
        case [name, *check] if name in ENDPOINTS and len(check) < 2:
            return health(name, "".join(check), dict(request.query))
        case ["openapi", "v2"]:
            return _openapi_v2(request)
        case ["openapi", "v3", *path]:
            return _openapi(request, "/".join(path))
        case ["api"] | ["apis"]:
            return _groups(request, parts[0])
        case ["apis", group]:
            found = api_group(group)
        case ["api", version]:
            found = api_resource_list("", version)
        case ["apis", group, version]:
            found = api_resource_list(group, version)
        case _:
            return None
    return None if found is None else json_answer(found)


def _groups(request: web.Request, root: str) -> web.Response:
    version = aggregated_version(request.headers.get("Accept", ""))
    if version is None:
        return json_answer(api_versions(request.host) if root == "api" else api_group_list())
    body = msgspec.json.encode(aggregated(f"/{root}", version))
    return _tagged(request, body, aggregated_media_type(version))


def _openapi_v2(request: web.Request) -> web.Response:
    """In protobuf, by its new or old name, or in JSON, as is wished first. Raises StatusError (406)."""
    for entry in accepted(request.headers.get("Accept", "")):
        if entry.media_type in (_OPENAPI_V2, _OPENAPI_V2_OF_OLD):
            return _tagged(request, openapi_v2_document(), _OPENAPI_V2)
        if entry.media_type in (JSON, "application/*", "*/*"):
            return _tagged(request, openapi_v2_json(), JSON)
    raise status.not_acceptable((JSON, _OPENAPI_V2))


def _openapi(request: web.Request, path: str) -> web.Response | None:
    if not path:
        return _tagged(request, msgspec.json.encode(openapi_index()), JSON)
    document = openapi_document(path)
    return None if document is None else _tagged(request, document, JSON)


def _tagged(request: web.Request, body: bytes, content_type: str) -> web.Response:
    """An answer with its hash as ETag, or 304 to whoever has it already."""
    tag = f'"{hashlib.sha256(body).hexdigest().upper()}"'
    headers = {"ETag": tag, "Vary": "Accept", "Cache-Control": "no-cache, private"}
    if tag in [each.strip() for each in request.headers.get("If-None-Match", "").split(",")]:
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, headers={**headers, "Content-Type": content_type})


def _paths() -> list[str]:
    roots = {kind.root for kind in SERVED}
    groups = {f"/apis/{kind.group}" for kind in SERVED if kind.group}
    documents = [f"/openapi/v3{root}" for root in roots]
    return sorted(
        {"/api", "/apis", "/metrics", "/openapi/v2", "/openapi/v3", "/version", *roots, *groups, *documents}
        | {f"/{each}" for each in ENDPOINTS}
    )


def _version() -> dict[str, str]:
    return {
        "major": "1",
        "minor": KUBERNETES_MINOR,
        "gitVersion": f"v1.{KUBERNETES_MINOR}.0+svcproxy-{__version__}",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "",
        "compiler": platform.python_implementation(),
        "platform": f"{platform.system().lower()}/{platform.machine()}",
    }
