"""What monitoring reads.

Imports this room. Invariant: nothing is counted here.
"""

from collections.abc import Iterable

from aiohttp import web

from proxy.admin.inspected import Inspected
from proxy.admin.metrics import CONTENT_TYPE, exposition


def metrics_routes(inspected: Inspected) -> Iterable[web.RouteDef]:
    """/metrics."""

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(body=exposition(inspected.statistics()), headers={"Content-Type": CONTENT_TYPE})

    return (web.get("/metrics", metrics),)
