"""What monitoring reads, at the paths that kube-proxy's metrics server has.

Imports this room. Invariant: nothing is counted here.
"""

from collections.abc import Iterable

from aiohttp import web

from proxy.admin.answer_counts import AnswerCounts
from proxy.admin.inspected import Inspected
from proxy.admin.json_answer import json_answer
from proxy.admin.metrics import CONTENT_TYPE, exposition


def metrics_routes(inspected: Inspected, counts: AnswerCounts) -> Iterable[web.RouteDef]:
    """/metrics, /healthz, /proxyMode and /configz."""

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(body=await exposition(inspected, counts), headers={"Content-Type": CONTENT_TYPE})

    async def healthz(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def proxy_mode(request: web.Request) -> web.Response:
        return web.Response(text=str(inspected.configuration["mode"]))

    async def configz(request: web.Request) -> web.Response:
        return json_answer({"svcproxy.io": inspected.configuration})

    return (
        web.get("/metrics", metrics),
        web.get("/healthz", healthz),
        web.get("/proxyMode", proxy_mode),
        web.get("/configz", configz),
    )
