"""The answer at a healthCheckNodePort, byte for byte."""

import pytest

from proxy.admin.health_check_answer import health_check_answer
from proxy.plan.health_check import HealthCheck

BODY = b"""{
\t"service": {
\t\t"namespace": "shop",
\t\t"name": "web"
\t},
\t"localEndpoints": 2,
\t"serviceProxyHealthy": true
}"""


def test_body_and_headers_are_those_of_kube_proxy() -> None:
    answer = health_check_answer(HealthCheck(("shop", "web"), "IPv4", 30900, 2), proxy_healthy=True)
    assert answer.body == BODY
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Load-Balancing-Endpoint-Weight"] == "2"


@pytest.mark.parametrize(("count", "healthy", "status"), [(2, True, 200), (0, True, 503), (2, False, 503)])
def test_it_is_good_with_an_endpoint_and_a_proxy_that_works(count: int, healthy: bool, status: int) -> None:
    answer = health_check_answer(HealthCheck(("shop", "web"), "IPv4", 30900, count), healthy)
    assert answer.status == status
    assert isinstance(answer.body, bytes)
    assert f'"serviceProxyHealthy": {"true" if healthy else "false"}' in answer.body.decode()
