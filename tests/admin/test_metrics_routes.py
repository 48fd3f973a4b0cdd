"""The paths of kube-proxy's metrics server."""

import json
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from proxy.configuration.config import Configuration
from proxy.configuration.config_document import configuration_document
from proxy.reports.traffic_report import PortTraffic, Traffic
from proxy.shared_counts.layout import CONNECT_BOUNDS, POOLS

if TYPE_CHECKING:
    from tests.admin.conftest import ServedProxy


async def test_healthz_of_the_metrics_address_is_plain_ok_in_every_state(served_proxy: "ServedProxy") -> None:
    served_proxy.proxy.healthy = served_proxy.proxy.ready = False
    answer = await served_proxy.metrics("/healthz")
    assert (answer.status, answer.text) == (200, "ok")


async def test_the_mode_is_plain_text(served_proxy: "ServedProxy") -> None:
    answer = await served_proxy.metrics("/proxyMode")
    assert (answer.status, answer.text) == (200, "userspace")


async def test_configz_has_every_key_that_is_in_force(served_proxy: "ServedProxy") -> None:
    answer = await served_proxy.metrics("/configz")
    assert json.loads(answer.text) == json.loads(json.dumps({"svcproxy.io": configuration_document(Configuration())}))


async def test_none_of_them_is_on_the_health_address(served_proxy: "ServedProxy") -> None:
    for path in ("/proxyMode", "/configz", "/metrics"):
        assert (await served_proxy.health(path)).status == 404


async def test_a_large_page_comes_whole(served_proxy: "ServedProxy") -> None:
    cells = [1] * POOLS.width
    ports = (PortTraffic("shop", f"web-{number}", "", "TCP", 1, cells) for number in range(2000))
    served_proxy.proxy.passed = Traffic(("client_closed",), (each for port in ports for each in (None, port)))
    answer = await served_proxy.metrics("/metrics")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    opened = families["svcproxy_connections_opened"].samples
    assert [sample.labels["service"] for sample in opened] == [f"web-{number}" for number in range(2000)]
    assert len(families["svcproxy_connect_duration_seconds"].samples) == 2000 * (len(CONNECT_BOUNDS) + 3)


async def test_what_cannot_be_read_is_an_error_and_no_half_of_a_page(served_proxy: "ServedProxy") -> None:
    def fail() -> Traffic:
        raise RuntimeError("a defect")

    served_proxy.proxy.statistics = fail  # type: ignore[assignment]
    assert (await served_proxy.metrics("/metrics")).status == 500
