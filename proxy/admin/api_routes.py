"""The API under /api/v1/: what the proxy holds, as JSON.

Imports this room. Invariant: GET alone, and every answer is of one moment.
"""

from collections.abc import Iterable

from aiohttp import web

from proxy.admin.inspected import Inspected
from proxy.admin.json_answer import json_answer


def api_routes(inspected: Inspected) -> Iterable[web.RouteDef]:
    """Everything under /api/v1/."""

    async def report(request: web.Request) -> web.Response:
        return json_answer(inspected.report())

    return (web.get("/api/v1/report", report),)
