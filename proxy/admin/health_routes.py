"""Health, for load balancers and kubelets, in the words of kube-proxy.

Invariant: /livez asks whether the proxy works, /healthz also whether load balancers shall send traffic to this node
(KEP-3836), /readyz whether what is known is served; none of the answers costs more than a look.
"""

from collections.abc import Iterable

from aiohttp import web
from msgspec.structs import replace

from proxy.admin.answer_counts import AnswerCounts
from proxy.admin.inspected import Inspected
from proxy.admin.json_answer import json_answer
from proxy.reports.report import HealthReport


def health_routes(inspected: Inspected, counts: AnswerCounts) -> Iterable[web.RouteDef]:
    """/livez, /readyz and /healthz."""

    async def livez(request: web.Request) -> web.Response:
        report = replace(inspected.health(), node_eligible=None)
        return answer("/livez", report, report.healthy)

    async def readyz(request: web.Request) -> web.Response:
        report = inspected.health()
        return answer("/readyz", report, report.healthy and inspected.ready)

    async def healthz(request: web.Request) -> web.Response:
        report = inspected.health()
        return answer("/healthz", report, report.healthy and bool(report.node_eligible))

    def answer(path: str, report: HealthReport, good: bool) -> web.Response:
        code = 200 if good else 503
        counts.count(path, code)
        if good:
            # As kube-proxy has it: what is healthy is up to date.
            report = replace(report, last_updated=report.current_time)
        response = json_answer(report, code)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return web.get("/livez", livez), web.get("/readyz", readyz), web.get("/healthz", healthz)
