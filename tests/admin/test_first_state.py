"""What is answered before there is a first state."""

import pytest

from tests.admin.conftest import ServedProxy

WHY = "the first lists of the cluster are not there yet: API server https://a: no"


@pytest.mark.parametrize(
    "path", ["services", "services/default/web", "endpoints", "connections", "affinity", "workers", "names", "explain"]
)
async def test_a_list_says_that_it_is_not_there_yet_and_why(served_proxy: ServedProxy, path: str) -> None:
    served_proxy.proxy.waiting_for = WHY
    answer = await served_proxy.metrics(f"/api/v1/{path}")
    assert (answer.status, answer.text) == (503, f'{{"error":"{WHY}","reason":"NoFirstState"}}')


@pytest.mark.parametrize("path", ["/api/v1/problems", "/api/v1/changes", "/metrics", "/livez"])
async def test_problems_and_health_are_there_from_the_start(served_proxy: ServedProxy, path: str) -> None:
    served_proxy.proxy.waiting_for = WHY
    assert (await served_proxy.metrics(path)).status == 200
