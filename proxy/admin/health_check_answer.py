"""The answer at a Service's healthCheckNodePort.

aiohttp sends. Invariant: headers and body are kube-proxy's, to the tab (pkg/proxy/healthcheck/service_health.go).
"""

import json

from aiohttp import web

from proxy.plan.health_check import HealthCheck

_BODY = """{{
\t"service": {{
\t\t"namespace": {namespace},
\t\t"name": {name}
\t}},
\t"localEndpoints": {count},
\t"serviceProxyHealthy": {healthy}
}}"""


def health_check_answer(check: HealthCheck, proxy_healthy: bool) -> web.Response:
    """200 where an endpoint is here and the proxy works, else 503."""
    namespace, name = check.service
    body = _BODY.format(
        namespace=json.dumps(namespace),
        name=json.dumps(name),
        count=check.local_endpoints,
        healthy=json.dumps(proxy_healthy),
    )
    headers = {
        "Content-Type": "application/json",
        "X-Content-Type-Options": "nosniff",
        "X-Load-Balancing-Endpoint-Weight": str(check.local_endpoints),
    }
    good = check.local_endpoints > 0 and proxy_healthy
    return web.Response(body=body.encode(), status=200 if good else 503, headers=headers)
