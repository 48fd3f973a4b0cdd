"""Kinds that kubectl and clients ask for beside those that the proxy serves: reviews, addresses, newer Events."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.apiserver.protobuf_encoder import protobuf_body

Call = Callable[..., Awaitable[tuple[int, Any]]]

SERVICES = "/api/v1/namespaces/default/services"
ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"
OLD_EVENTS = "/api/v1/namespaces/default/events"
NEW_EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
RIGHTS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


async def test_there_are_no_custom_resource_definitions(call: Call) -> None:
    code, answer = await call("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
    assert (code, answer["kind"], answer["items"]) == (200, "CustomResourceDefinitionList", [])
    assert (await call("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/a.b.c"))[0] == 404
    assert (await call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {}))[0] == 405


async def test_whoever_has_the_token_may_do_everything(call: Call) -> None:
    question = {"spec": {"resourceAttributes": {"verb": "delete", "resource": "pods"}}}
    code, answer = await call("POST", RIGHTS, question)
    assert (code, answer["status"]["allowed"], answer["spec"]) == (201, True, question["spec"])
    assert (await call("POST", RIGHTS, {"spec": {}}))[0] == 422
    assert (await call("GET", RIGHTS))[0] == 405
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    _, answer = await call("POST", path, {"spec": {"namespace": "default"}})
    assert answer["status"]["resourceRules"] == [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
    code, answer = await call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert (code, answer["status"]["userInfo"]["username"]) == (201, "kubernetes-admin")


async def test_rights_may_be_asked_for_in_protobuf(call: Call) -> None:
    body = protobuf_body("SelfSubjectAccessReview", [(2, [(1, [(2, "get"), (5, "pods")])])], "authorization.k8s.io/v1")
    code, answer = await call("POST", RIGHTS, body, "application/vnd.kubernetes.protobuf")
    assert (code, answer["spec"]["resourceAttributes"]) == (201, {"verb": "get", "resource": "pods"})


async def test_every_cluster_ip_is_an_address_with_its_service_as_long_as_it_is_given_out(call: Call) -> None:
    async def addresses() -> dict[str, str]:
        _, answer = await call("GET", ADDRESSES)
        return {item["metadata"]["name"]: item["spec"]["parentRef"]["name"] for item in answer["items"]}

    spec = {"ports": [{"port": 80}]}
    _, web = await call("POST", SERVICES, {"metadata": {"name": "web"}, "spec": spec})
    await call("POST", SERVICES, {"metadata": {"name": "none"}, "spec": {**spec, "clusterIP": "None"}})
    address = web["spec"]["clusterIP"]
    assert (await addresses())[address] == "web"
    assert "none" not in (await addresses()).values()
    assert (await call("POST", ADDRESSES, {}))[0] == 405
    await call("PATCH", f"{SERVICES}/web", {"metadata": {"labels": {"a": "b"}}}, "application/merge-patch+json")
    assert (await addresses())[address] == "web"
    await call("DELETE", f"{SERVICES}/web")
    await call("POST", SERVICES, {"metadata": {"name": "next"}, "spec": {**spec, "clusterIP": address}})
    assert (await addresses())[address] == "next"
    await call("DELETE", f"{SERVICES}/next")
    assert address not in await addresses()


async def test_the_service_range_is_a_service_cidr(call: Call) -> None:
    _, answer = await call("GET", "/apis/networking.k8s.io/v1/servicecidrs/kubernetes")
    assert answer["spec"]["cidrs"] == ["10.0.0.0/28"]
    assert answer["status"]["conditions"][0]["status"] == "True"


def old_event(name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "involvedObject": {"kind": "Service", "namespace": "default", "name": "web"},
        "reason": "Tested",
        "message": "said",
        "source": {"component": "test"},
        "count": 2,
        "firstTimestamp": "2036-03-01T00:00:00Z",
        "lastTimestamp": "2036-03-01T00:00:05Z",
        "type": "Normal",
    }


async def test_an_event_is_in_both_groups_under_the_names_of_each(call: Call) -> None:
    assert (await call("POST", OLD_EVENTS, old_event("a")))[0] == 201
    _, shown = await call("GET", f"{NEW_EVENTS}/a")
    assert (shown["apiVersion"], shown["note"], shown["regarding"]["name"]) == ("events.k8s.io/v1", "said", "web")
    assert (shown["deprecatedCount"], shown["deprecatedSource"]) == (2, {"component": "test"})
    assert "message" not in shown
    body = {
        "metadata": {"name": "b"},
        "regarding": {"kind": "Service", "namespace": "default", "name": "web"},
        "note": "new",
        "reason": "Tested",
        "action": "Test",
        "eventTime": "2036-03-01T00:00:00.000001Z",
        "reportingController": "c",
        "reportingInstance": "i",
        "type": "Normal",
    }
    code, created = await call("POST", NEW_EVENTS, body)
    assert (code, created["note"]) == (201, "new")
    _, stored = await call("GET", f"{OLD_EVENTS}/b")
    assert (stored["apiVersion"], stored["message"], stored["reportingComponent"]) == ("v1", "new", "c")
    _, found = await call("GET", NEW_EVENTS, fieldSelector="regarding.name=web")
    assert [item["note"] for item in found["items"]] == ["said", "new"]
    assert found["apiVersion"] == "events.k8s.io/v1"
    code, patched = await call("PATCH", f"{NEW_EVENTS}/b", {"note": "again"}, "application/merge-patch+json")
    assert (code, patched["note"]) == (200, "again")
    assert (await call("DELETE", f"{NEW_EVENTS}/b"))[0] == 200
    assert (await call("GET", f"{OLD_EVENTS}/b"))[0] == 404


async def test_a_watch_of_newer_events_names_them_so(call: Call, session: aiohttp.ClientSession) -> None:
    await call("POST", OLD_EVENTS, old_event("a"))
    async with session.get(NEW_EVENTS, params={"watch": "true"}) as response:
        event = json.loads(await asyncio.wait_for(response.content.readline(), 10))
    assert (event["object"]["apiVersion"], event["object"]["note"]) == ("events.k8s.io/v1", "said")


@pytest.mark.parametrize("plural", ["servicecidrs", "ipaddresses"])
async def test_addresses_and_ranges_are_printed_as_kubernetes_does(call: Call, plural: str) -> None:
    await call("POST", SERVICES, {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}})
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    _, table = await call("GET", f"/apis/networking.k8s.io/v1/{plural}", accept=accept)
    columns = [column["name"] for column in table["columnDefinitions"]]
    row = table["rows"][-1]["cells"]
    if plural == "servicecidrs":
        assert (columns, row[:2]) == (["Name", "CIDRs", "Age"], ["kubernetes", "10.0.0.0/28"])
    else:
        assert (columns, row[1]) == (["Name", "ParentRef", "Age"], "services/default/web")
