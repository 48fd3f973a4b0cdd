"""Information: what the API says about itself: versions, health, discovery, OpenAPI.

Imports this room; aiohttp carries it. Invariant: read only, and nothing here depends on the objects.
"""

import platform

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
from proxy.apiserver.http.negotiation import JSON, accepted
from proxy.apiserver.http.openapi import openapi_document, openapi_index
from proxy.apiserver.http.openapi_v2 import openapi_v2_document

KUBERNETES_MINOR = "36"
_OPENAPI_V2 = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
# Clients may ask with an @, and cannot parse an answer that has one.
_OPENAPI_V2_OF_OLD = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
_HEALTH = ("healthz", "livez", "readyz")


def information(request: web.Request) -> web.Response | None:
    """The answer to a GET of a path that is about the API itself, or None for any other path."""
    parts = request.path.strip("/").split("/")
    match parts:
        case ["version"]:
            return json_answer(_version())
        case [name, *_] if name in _HEALTH:
            return web.Response(text="ok")
        case ["openapi", "v2"]:
            return _openapi_v2(request.headers.get("Accept", ""))
        case ["openapi", "v3", *path]:
            return _openapi("/".join(path))
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
    response = json_answer(aggregated(f"/{root}", version))
    response.headers["Content-Type"] = aggregated_media_type(version)
    return response


def _openapi_v2(accept: str) -> web.Response:
    """In protobuf, to whoever names that in the new spelling or the old. Raises StatusError (406)."""
    if not any(entry.media_type in (_OPENAPI_V2, _OPENAPI_V2_OF_OLD) for entry in accepted(accept)):
        raise status.not_acceptable((_OPENAPI_V2,))
    return web.Response(body=openapi_v2_document(), content_type=_OPENAPI_V2)


def _openapi(path: str) -> web.Response | None:
    if not path:
        return json_answer(openapi_index())
    document = openapi_document(path)
    return None if document is None else web.Response(body=document, content_type=JSON)


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
