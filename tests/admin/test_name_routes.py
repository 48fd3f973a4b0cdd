"""The route that says what DNS answers."""

import json

from tests.admin.conftest import ServedProxy


async def test_names_are_listed_by_namespace_and_service(served_proxy: ServedProxy) -> None:
    async def names(query: str) -> list[str]:
        answer = await served_proxy.metrics(f"/api/v1/names{query}")
        assert answer.status == 200
        return [each["name"] for each in json.loads(answer.text)["names"]]

    assert await names("") == ["web.default.svc.cluster.local.", "shop.other.svc.cluster.local."]
    assert await names("?namespace=other") == ["shop.other.svc.cluster.local."]
    assert await names("?namespace=default&service=shop") == []


async def test_it_is_told_where_names_are_answered(served_proxy: ServedProxy) -> None:
    answer = await served_proxy.metrics("/api/v1/names?namespace=nowhere")
    assert json.loads(answer.text) == {"names": [], "addresses": [["127.96.0.10", 10053]]}


async def test_a_record_has_its_service_type_value_and_time(served_proxy: ServedProxy) -> None:
    answer = await served_proxy.metrics("/api/v1/names?service=web")
    assert json.loads(answer.text)["names"] == [
        {
            "namespace": "default",
            "service": "web",
            "name": "web.default.svc.cluster.local.",
            "recordType": "A",
            "value": "127.96.0.9",
            "ttl": 5,
        }
    ]
