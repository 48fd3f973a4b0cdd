"""The API over real connections."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from proxy.admin.http_server import HTTPServer
from proxy.plan.frontend import Delta, Frontend, FrontendKey
from tests.admin.inspected import FakeProxy, service_report

Get = Callable[[str], Awaitable[tuple[int, Any]]]


@pytest.fixture
def inspected() -> FakeProxy:
    return FakeProxy(service_report("shop"), service_report("shop", "other", endpoints=1), service_report("web"))


@pytest.fixture
async def get(inspected: FakeProxy) -> AsyncIterator[Get]:
    server = HTTPServer(inspected)
    await server.start(("127.0.0.1", 0), ("127.0.0.1", 0))
    url = f"http://127.0.0.1:{server._runners[1].addresses[0][1]}"

    async def fetch(path: str) -> tuple[int, Any]:
        async with aiohttp.ClientSession() as session, session.get(url + path) as response:
            return response.status, await response.json()

    yield fetch
    await server.stop()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["default/shop", "default/web", "other/shop"]),
        ("?namespace=other", ["other/shop"]),
        ("?service=shop", ["default/shop", "other/shop"]),
        ("?namespace=other&service=web", []),
    ],
)
async def test_services_are_listed_by_namespace_and_name(get: Get, query: str, names: list[str]) -> None:
    status, body = await get(f"/api/v1/services{query}")
    metadata = [each["service"]["metadata"] for each in body["services"]]
    assert (status, [f"{each['namespace']}/{each['name']}" for each in metadata]) == (200, names)


async def test_one_service_is_answered_alone(get: Get) -> None:
    status, body = await get("/api/v1/services/other/shop")
    assert (status, body["pools"][0]["portName"], len(body["pools"][0]["endpoints"])) == (200, "http", 1)


async def test_a_service_that_is_not_there_is_an_error_in_one_line(get: Get) -> None:
    assert await get("/api/v1/services/default/none") == (
        404,
        {"error": "Service default/none is not known to this proxy"},
    )


async def test_endpoints_say_where_they_belong(get: Get) -> None:
    status, body = await get("/api/v1/endpoints?namespace=other")
    assert (status, len(body["endpoints"])) == (200, 1)
    (endpoint,) = body["endpoints"]
    assert (endpoint["service"], endpoint["portName"], endpoint["affinitySeconds"]) == ("shop", "http", 0)
    assert endpoint["endpoint"]["pod"] == "pod-0"


async def test_workers_and_problems_are_listed(get: Get) -> None:
    _, body = await get("/api/v1/workers")
    assert body["workers"][0]["tcpConnections"] == 7
    _, body = await get("/api/v1/problems")
    (problem,) = body["problems"]
    assert (problem["message"], problem["where"]) == ("is wrong", "a.yaml")


async def test_changes_are_told_from_where_the_reader_left_off(get: Get, inspected: FakeProxy) -> None:
    assert await get("/api/v1/changes") == (200, {"last": 0, "changes": []})
    for port in (80, 81, 82):
        frontend = Frontend(FrontendKey("TCP", "10.0.0.1", port), "pool", "default/shop", "ClusterIP", "refuse")
        inspected.recent_changes.record(Delta((), (frontend,)), "2026-03-01T00:00:00+00:00")
    _, body = await get("/api/v1/changes?after=1")
    assert (body["last"], [each["sequence"] for each in body["changes"]]) == (3, [2, 3])
    assert body["changes"][0]["kind"] == "AddressAdded"
    assert body["changes"][0]["message"] == "added ClusterIP 10.0.0.1:81/TCP"


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 19, "%EF%BC%91"])
async def test_a_place_that_is_no_number_is_an_error(get: Get, after: str) -> None:
    status, body = await get(f"/api/v1/changes?after={after}")
    assert (status, body["error"].partition(" ")[0]) == (400, "after")
