"""Health, for load balancers and kubelets.

Imports this room. Invariant: the answers depend on the proxy's state alone, whichever address is asked.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from aiohttp import web

from proxy.admin.inspected import Inspected
from proxy.admin.json_answer import json_answer
from proxy.admin.report import HealthReport


def health_routes(inspected: Inspected) -> Iterable[web.RouteDef]:
    """/livez, /readyz and /healthz."""

    async def livez(request: web.Request) -> web.Response:
        return _health(inspected, healthy=True)

    async def readyz(request: web.Request) -> web.Response:
        return _health(inspected, healthy=inspected.ready)

    return web.get("/livez", livez), web.get("/readyz", readyz), web.get("/healthz", readyz)


def _health(inspected: Inspected, healthy: bool) -> web.Response:
    now = datetime.now(UTC)
    report = HealthReport(
        last_updated=(now if healthy else inspected.last_updated).isoformat(),
        current_time=now.isoformat(),
        node_eligible=not inspected.draining,
        healthy=healthy,
    )
    return json_answer(report, 200 if healthy else 503)
