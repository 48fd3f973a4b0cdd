"""The endpoint controller: slices and Endpoints follow Services and Pods, and belong to it alone."""

from collections.abc import Awaitable, Callable
from typing import Any

from proxy.apiserver.embedded_api import EmbeddedAPI
from proxy.apiserver.kinds import KINDS
from proxy.model.changes import Changes
from proxy.model.endpoint_slice import LAST_CHANGE_TRIGGER_TIME

Call = Callable[..., Awaitable[tuple[int, Any]]]

SERVICES = "/api/v1/namespaces/default/services"
ENDPOINTS = "/api/v1/namespaces/default/endpoints"
PODS = "/api/v1/namespaces/default/pods"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
MERGE = "application/merge-patch+json"


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": 8080}]
    return {"metadata": {"name": name}, "spec": {"ports": ports, "selector": {"app": "web"}, **spec}}


def pod(name: str, address: str, ready: str = "True") -> dict[str, Any]:
    status = {"podIP": address, "conditions": [{"type": "Ready", "status": ready}]}
    return {"metadata": {"name": name, "labels": {"app": "web"}}, "status": status}


async def addresses(call: Call) -> dict[str, bool]:
    _, found = await call("GET", SLICES, labelSelector="kubernetes.io/service-name=web")
    return {
        endpoint["addresses"][0]: endpoint["conditions"]["ready"]
        for item in found["items"]
        for endpoint in item["endpoints"]
    }


async def test_slices_and_endpoints_follow_the_pods(call: Call) -> None:
    await call("POST", SERVICES, service())
    assert await addresses(call) == {}
    await call("POST", PODS, pod("a", "10.1.0.1"))
    await call("POST", PODS, pod("b", "10.1.0.2", ready="False"))
    assert await addresses(call) == {"10.1.0.1": True, "10.1.0.2": False}
    _, endpoints = await call("GET", f"{ENDPOINTS}/web")
    by_address = {
        (entry["ports"][0]["port"], *map(len, (entry["addresses"], entry["notReadyAddresses"])))
        for entry in endpoints["subsets"]
    }
    assert by_address == {(8080, 1, 1)}
    await call("PATCH", f"{PODS}/b/status", {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, MERGE)
    assert await addresses(call) == {"10.1.0.1": True, "10.1.0.2": True}
    await call("DELETE", f"{PODS}/a")
    assert await addresses(call) == {"10.1.0.2": True}
    await call("DELETE", f"{SERVICES}/web")
    for path in (SLICES, ENDPOINTS):
        assert (await call("GET", path))[1]["items"] == []


async def test_a_made_slice_names_its_service_as_its_owner(call: Call) -> None:
    _, owner = await call("POST", SERVICES, service())
    _, found = await call("GET", SLICES)
    (reference,) = found["items"][0]["metadata"]["ownerReferences"]
    assert (reference["kind"], reference["name"], reference["uid"]) == ("Service", "web", owner["metadata"]["uid"])


async def test_a_made_slice_says_since_when_what_it_shows_is_so(call: Call, told: list[Changes]) -> None:
    _, owner = await call("POST", SERVICES, service())
    assert await triggered(call) == owner["metadata"]["creationTimestamp"]
    ready = pod("a", "10.1.0.1")
    ready["status"]["conditions"][0]["lastTransitionTime"] = "2036-03-01T00:00:05Z"
    await call("POST", PODS, ready)
    assert await triggered(call) == "2036-03-01T00:00:05Z"
    assert told[-1].slices[0].metadata.annotations == {LAST_CHANGE_TRIGGER_TIME: "2036-03-01T00:00:05Z"}
    await call("PATCH", f"{PODS}/a", {"metadata": {"labels": {"other": "label"}}}, MERGE)
    assert await triggered(call) == "2036-03-01T00:00:05Z"
    await call("DELETE", f"{PODS}/a")
    assert await triggered(call) is None


async def triggered(call: Call) -> str | None:
    """What the Service's slice says."""
    _, found = await call("GET", SLICES)
    text: str | None = found["items"][0]["metadata"].get("annotations", {}).get(LAST_CHANGE_TRIGGER_TIME)
    return text


async def test_what_the_controller_made_stays_as_it_makes_it(call: Call) -> None:
    await call("POST", SERVICES, service())
    await call("POST", PODS, pod("a", "10.1.0.1"))
    _, found = await call("GET", SLICES)
    name = found["items"][0]["metadata"]["name"]
    await call("PATCH", f"{SLICES}/{name}", {"endpoints": []}, MERGE)
    assert await addresses(call) == {"10.1.0.1": True}
    assert (await call("DELETE", f"{SLICES}/{name}"))[0] == 200
    assert await addresses(call) == {"10.1.0.1": True}
    assert (await call("DELETE", f"{ENDPOINTS}/web"))[0] == 200
    assert (await call("GET", f"{ENDPOINTS}/web"))[1]["subsets"][0]["addresses"][0]["ip"] == "10.1.0.1"


async def test_a_clients_own_slice_is_served_and_left_alone(call: Call, told: list[Changes]) -> None:
    await call("POST", SERVICES, service(selector=None))
    labels = {
        "kubernetes.io/service-name": "web",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
    }
    own = {
        "metadata": {"name": "web-own", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"port": 8080}],
        "endpoints": [{"addresses": ["127.0.0.9"], "conditions": {"ready": True}}],
    }
    code, created = await call("POST", SLICES, own)
    assert (code, created["ports"]) == (201, [{"name": "", "protocol": "TCP", "port": 8080}])
    assert await call("GET", f"{SLICES}/web-own") == (200, created)
    assert told[-1].slices[0].endpoints[0].addresses == ("127.0.0.9",)
    created["addressType"] = "IPv6"
    created["endpoints"] = []
    code, answer = await call("PUT", f"{SLICES}/web-own", created)
    assert (code, answer["details"]["causes"][0]["field"]) == (422, "addressType")
    await call("DELETE", f"{SLICES}/web-own")
    assert told[-1].removed_slices == (("default", "web-own"),)


async def test_endpoints_of_a_service_without_selector_are_mirrored(call: Call) -> None:
    await call("POST", SERVICES, service(selector=None))
    subsets = [{"addresses": [{"ip": "10.1.0.5"}], "ports": [{"port": 8080}]}]
    code, created = await call("POST", ENDPOINTS, {"metadata": {"name": "web"}, "subsets": subsets})
    assert code == 201
    assert await addresses(call) == {"10.1.0.5": True}
    _, found = await call("GET", SLICES)
    (reference,) = found["items"][0]["metadata"]["ownerReferences"]
    assert (reference["kind"], reference["uid"]) == ("Endpoints", created["metadata"]["uid"])
    await call("DELETE", f"{ENDPOINTS}/web")
    assert await addresses(call) == {}


async def test_a_clients_own_endpoints_are_not_overwritten_but_come_back_as_the_controllers(call: Call) -> None:
    own = {"metadata": {"name": "web"}, "subsets": [{"addresses": [{"ip": "10.1.0.5"}], "ports": [{"port": 1}]}]}
    await call("POST", ENDPOINTS, own)
    await call("POST", SERVICES, service())
    await call("POST", PODS, pod("a", "10.1.0.1"))
    assert (await call("GET", f"{ENDPOINTS}/web"))[1]["subsets"][0]["addresses"][0]["ip"] == "10.1.0.5"
    await call("DELETE", f"{ENDPOINTS}/web")
    assert (await call("GET", f"{ENDPOINTS}/web"))[1]["subsets"][0]["addresses"][0]["ip"] == "10.1.0.1"


async def test_a_change_writes_only_what_it_changes(call: Call, api: EmbeddedAPI) -> None:
    for name in ("web", "other"):
        await call("POST", SERVICES, service(name, selector={"app": name}))
    await call("POST", PODS, pod("a", "10.1.0.1"))
    before = api.store.version
    await call("POST", PODS, pod("b", "10.1.0.2"))
    written = [(kind.kind, event.stored.key[1][:3]) for kind in KINDS for event in api.store.events_since(before, kind)]
    assert sorted(written) == [("EndpointSlice", "web"), ("Endpoints", "web"), ("Pod", "b")]


async def test_a_write_that_does_not_reach_the_disk_leaves_numbers_and_slices_as_they_were(
    call: Call, api: EmbeddedAPI, told: list[Changes]
) -> None:
    await call("POST", PODS, pod("a", "10.1.0.1"))
    database = api.store._database
    database._connection.execute("PRAGMA query_only = ON")
    before = list(told)
    for number in range(12):
        code, answer = await call("POST", SERVICES, service(f"s{number}", type="NodePort"))
        assert (code, answer["reason"]) == (500, "InternalError")
        assert "could not be stored" in answer["message"]
    assert (await call("DELETE", f"{PODS}/a"))[0] == 500
    database._connection.execute("PRAGMA query_only = OFF")
    assert told == before
    code, _ = await call("POST", SERVICES, service(type="NodePort"))
    assert code == 201
    assert await addresses(call) == {"10.1.0.1": True}
