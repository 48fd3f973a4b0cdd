"""Health over HTTP, as kube-proxy answers it."""

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.admin.conftest import ServedProxy


@pytest.mark.parametrize(
    ("healthy", "eligible", "ready", "statuses"),
    [
        (True, True, True, (200, 200, 200)),
        (True, True, False, (200, 503, 200)),
        (True, False, True, (200, 200, 503)),
        (False, True, True, (503, 503, 503)),
    ],
)
async def test_each_path_asks_its_own_question(
    served_proxy: "ServedProxy", healthy: bool, eligible: bool, ready: bool, statuses: tuple[int, int, int]
) -> None:
    served_proxy.proxy.healthy = healthy
    served_proxy.proxy.eligible = eligible
    served_proxy.proxy.ready = ready
    paths = ("/livez", "/readyz", "/healthz")
    assert tuple([(await served_proxy.health(path)).status for path in paths]) == statuses
    assert (await served_proxy.metrics("/livez")).status == statuses[0]
    assert (await served_proxy.metrics("/readyz")).status == statuses[1]


async def test_a_good_answer_is_that_of_kube_proxy_and_of_now(served_proxy: "ServedProxy") -> None:
    answer = await served_proxy.health("/healthz")
    assert answer.text == (
        '{"lastUpdated":"2026-03-02T00:00:00Z","currentTime":"2026-03-02T00:00:00Z","nodeEligible":true,"healthy":true,'
        '"status":{"IPv4":{"lastUpdated":"2026-03-01T00:00:00Z","healthy":true},'
        '"IPv6":{"lastUpdated":"2026-03-01T00:00:00Z","healthy":true}}}'
    )
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_a_bad_answer_says_since_when(served_proxy: "ServedProxy") -> None:
    served_proxy.proxy.eligible = False
    body = json.loads((await served_proxy.health("/healthz")).text)
    assert (body["lastUpdated"], body["nodeEligible"], body["healthy"]) == ("2026-03-01T00:00:00Z", False, True)


async def test_livez_does_not_speak_of_the_node(served_proxy: "ServedProxy") -> None:
    assert "nodeEligible" not in json.loads((await served_proxy.health("/livez")).text)
