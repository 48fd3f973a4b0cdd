"""The API under /api/v1/: what the proxy holds, as JSON.

Invariant: GET alone; an answer is of one moment, and in the long lists each Service is.
"""

from collections.abc import Iterable, Iterator

from aiohttp import web

from proxy import __version__
from proxy.admin.api_answers import (
    ChangesAnswer,
    ProblemsAnswer,
    VersionAnswer,
    WorkersAnswer,
    endpoints_of,
)
from proxy.admin.inspected import Inspected
from proxy.admin.json_answer import failure, json_answer
from proxy.admin.json_list import json_list
from proxy.reports.report import ServiceReport

_LARGEST_SEQUENCE_DIGITS = 18


def api_routes(inspected: Inspected) -> Iterable[web.RouteDef]:
    """Everything under /api/v1/. `?namespace=` and `?service=` narrow the lists of Services and endpoints."""

    async def services(request: web.Request) -> web.StreamResponse:
        return await json_list(request, "services", _wanted(request, inspected))

    async def service(request: web.Request) -> web.Response:
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        found = inspected.service_report((namespace, name))
        return json_answer(found) if found else failure(404, f"Service {namespace}/{name} is not known to this proxy")

    async def endpoints(request: web.Request) -> web.StreamResponse:
        return await json_list(request, "endpoints", endpoints_of(_wanted(request, inspected)))

    async def workers(request: web.Request) -> web.Response:
        return json_answer(WorkersAnswer(inspected.workers()))

    async def problems(request: web.Request) -> web.Response:
        return json_answer(ProblemsAnswer(inspected.problems()))

    async def version(request: web.Request) -> web.Response:
        return json_answer(VersionAnswer(__version__))

    async def changes(request: web.Request) -> web.Response:
        after = request.query.get("after", "0")
        if not (after.isascii() and after.isdecimal()) or len(after) > _LARGEST_SEQUENCE_DIGITS:
            return failure(400, f'after must be the "last" of an earlier answer, not "{after}"')
        recent = inspected.recent_changes
        return json_answer(ChangesAnswer(recent.last, recent.since(int(after))))

    return (
        web.get("/api/v1/services", services),
        web.get("/api/v1/services/{namespace}/{name}", service),
        web.get("/api/v1/endpoints", endpoints),
        web.get("/api/v1/workers", workers),
        web.get("/api/v1/problems", problems),
        web.get("/api/v1/changes", changes),
        web.get("/api/v1/version", version),
    )


def _wanted(request: web.Request, inspected: Inspected) -> Iterator[ServiceReport]:
    """The Services that the query leaves, by namespace and name; who left meanwhile is left out."""
    wanted = request.query.get("namespace"), request.query.get("service")
    keys = [key for key in inspected.service_keys() if wanted[0] in (None, key[0]) and wanted[1] in (None, key[1])]
    reports = map(inspected.service_report, sorted(keys))
    return (report for report in reports if report is not None)
