"""The routes that ask workers: what a query means, and what is wrong with it."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.admin.conftest import ServedProxy

Get = Callable[[str], Awaitable[tuple[int, Any]]]


@pytest.fixture
def inspected(served_proxy: ServedProxy) -> Any:
    return served_proxy.proxy


@pytest.fixture
def get(served_proxy: ServedProxy) -> Get:
    async def fetch(path: str) -> tuple[int, Any]:
        answer = await served_proxy.metrics(path)
        return answer.status, json.loads(answer.text)

    return fetch


async def test_connections_are_asked_for_by_scope_and_number(get: Get, inspected: Any) -> None:
    status, body = await get("/api/v1/connections?namespace=shop&service=web&limit=7")
    assert (status, body) == (200, {"connections": [], "complete": True})
    assert inspected.flows.asked == [("connections", "shop", "web", 7)]


async def test_affinity_is_asked_for_by_scope_and_number(get: Get, inspected: Any) -> None:
    status, body = await get("/api/v1/affinity?namespace=shop")
    assert (status, body["affinity"][0]["secondsLeft"]) == (200, 7.5)
    assert inspected.flows.asked == [("affinity", "shop", "", 10_000)]


@pytest.mark.parametrize(
    ("query", "question"),
    [
        ("address=127.0.0.1&port=80", ("TCP", "127.0.0.1", 80, "", 0)),
        ("address=0:0:0:0:0:0:0:1&port=80&protocol=udp&from=::2&fromPort=7", ("UDP", "::1", 80, "::2", 7)),
        ("address=::ffff:10.0.0.1&port=80&from=10.0.0.7", ("TCP", "10.0.0.1", 80, "10.0.0.7", 0)),
    ],
)
async def test_an_address_is_explained(get: Get, inspected: Any, query: str, question: tuple[Any, ...]) -> None:
    status, body = await get(f"/api/v1/explain?{query}")
    assert (status, body["explanations"][0]["verdict"]) == (200, "not-proxied")
    assert inspected.flows.asked == [("explain", *question)]


async def test_a_service_is_explained(get: Get, inspected: Any) -> None:
    assert (await get("/api/v1/explain?service=web&from=10.0.0.7"))[0] == 200
    assert inspected.flows.asked == [("explain_service", ("default", "web"), "10.0.0.7")]
    assert await get("/api/v1/explain?namespace=shop&service=none") == (
        404,
        {"error": "Service shop/none is not known to this proxy"},
    )


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("connections?limit=0", 'limit must be a number from 1 to 10000, not "0"'),
        ("connections?limit=10001", 'limit must be a number from 1 to 10000, not "10001"'),
        ("affinity?limit=x", 'limit must be a number from 1 to 10000, not "x"'),
        ("affinity?service=web", "service needs namespace beside it"),
        ("explain", 'address must be an IP address, not ""'),
        ("explain?address=web&port=80", 'address must be an IP address, not "web"'),
        ("explain?address=::1", 'port must be a number from 1 to 65535, not ""'),
        ("explain?address=::1&port=70000", 'port must be a number from 1 to 65535, not "70000"'),
        ("explain?address=::1&port=80&protocol=SCTP", 'protocol must be TCP or UDP, not "SCTP"'),
        ("explain?address=::1&port=80&from=me", 'from must be an IP address, not "me"'),
        ("explain?address=::1&port=80&from=10.0.0.7", "from and address must be of one family, not 10.0.0.7 and ::1"),
    ],
)
async def test_a_query_that_makes_no_sense_is_an_error_in_one_line(get: Get, path: str, error: str) -> None:
    assert await get(f"/api/v1/{path}") == (400, {"error": error})
