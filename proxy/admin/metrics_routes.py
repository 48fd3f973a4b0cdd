"""What monitoring reads, at the paths that kube-proxy's metrics server has.

Invariant: nothing is counted here.
"""

import asyncio
from collections.abc import Iterable

from aiohttp import web

from proxy.admin.answer_counts import AnswerCounts
from proxy.admin.inspected import Inspected
from proxy.admin.json_answer import json_answer
from proxy.admin.json_list import write
from proxy.admin.metrics import CONTENT_TYPE, exposition


def metrics_routes(inspected: Inspected, counts: AnswerCounts) -> Iterable[web.RouteDef]:
    """/metrics, /healthz, /proxyMode and /configz."""

    async def metrics(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE})
        if request.method == "HEAD":
            return response
        async for piece in exposition(inspected, counts):
            if not response.prepared:
                # After the first piece, so that what fails at once is still an error of its own.
                await response.prepare(request)
            await write(request, response, piece)
            await asyncio.sleep(0)
        return response

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
