"""The paths of kube-proxy's metrics server."""

import json
from typing import TYPE_CHECKING

from proxy.config import Configuration
from proxy.config_document import configuration_document

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
