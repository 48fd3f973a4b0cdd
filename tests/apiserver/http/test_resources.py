"""The API over TLS as a client meets it: verbs, codes, Status errors, selectors, pages."""

import io
import os
import stat
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from proxy.apiserver.embedded_api import EmbeddedAPI
from tests.apiserver.protobuf_encoder import protobuf_body

Call = Callable[..., Awaitable[tuple[int, Any]]]

PROTOBUF = "application/vnd.kubernetes.protobuf"
SERVICES = "/api/v1/namespaces/default/services"
PODS = "/api/v1/namespaces/default/pods"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
MERGE = "application/merge-patch+json"


def service(name: str, port: Any = 80, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"ports": [{"port": port}], **spec},
    }


def pod(name: str, address: str, app: str = "web") -> dict[str, Any]:
    ready = [{"type": "Ready", "status": "True"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": app}},
        "spec": {"containers": [{"name": "c", "image": "x"}]},
        "status": {"phase": "Running", "podIP": address, "conditions": ready},
    }


async def test_a_created_service_comes_back_with_everything_filled_in(call: Call) -> None:
    code, created = await call("POST", SERVICES, service("web", type="NodePort"), fieldManager="me")
    assert code == 201
    spec, metadata = created["spec"], created["metadata"]
    assert spec["clusterIP"].startswith("10.0.0.")
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert 30000 <= spec["ports"][0]["nodePort"] <= 30009
    assert (spec["ports"][0]["protocol"], spec["ports"][0]["targetPort"]) == ("TCP", 80)
    assert (spec["sessionAffinity"], spec["internalTrafficPolicy"]) == ("None", "Cluster")
    assert metadata["namespace"] == "default"
    assert metadata["uid"]
    assert metadata["creationTimestamp"]
    assert [entry["manager"] for entry in metadata["managedFields"]] == ["me"]
    assert await call("GET", f"{SERVICES}/web") == (200, created)


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic eA==", "Bearer"])
@pytest.mark.parametrize("path", [SERVICES, "/", "/metrics", "/api", "/openapi/v3", "/nothing", "/readyz/ping"])
async def test_nothing_else_is_answered_without_the_token(
    session: aiohttp.ClientSession, path: str, authorization: str
) -> None:
    async with session.get(path, headers={"Authorization": authorization}) as response:
        assert response.status == 401
        answer = await response.json()
        assert (answer["kind"], answer["reason"], answer["message"]) == ("Status", "Unauthorized", "Unauthorized")


@pytest.mark.parametrize("path", ["/version", "/healthz", "/livez", "/readyz", "/readyz?verbose"])
async def test_health_and_version_are_for_everybody(session: aiohttp.ClientSession, path: str) -> None:
    async with session.get(path, headers={"Authorization": ""}) as response:
        assert response.status == 200


async def test_the_token_is_good_as_a_bearer_token_alone(session: aiohttp.ClientSession) -> None:
    token = session.headers["Authorization"].removeprefix("Bearer ")
    for scheme, code in (("Basic", 401), ("", 401), ("bearer", 200)):
        async with session.get("/api", headers={"Authorization": f"{scheme} {token}"}) as response:
            assert response.status == code


def test_the_kubeconfig_is_for_its_owner_alone(api: EmbeddedAPI) -> None:
    assert stat.S_IMODE(os.stat(api.kubeconfig).st_mode) == 0o600


async def test_an_invalid_service_is_refused_with_a_cause_for_each_error(call: Call) -> None:
    code, answer = await call("POST", SERVICES, service("web", 0))
    assert code == 422
    assert answer["reason"] == "Invalid"
    assert answer["message"].startswith('Service "web" is invalid: [spec.ports[0].port: Invalid value: 0: ')
    assert answer["details"]["kind"] == "Service"
    assert [cause["field"] for cause in answer["details"]["causes"]] == [
        "spec.ports[0].port",
        "spec.ports[0].targetPort",
    ]
    assert answer["details"]["causes"][0]["message"] == "Invalid value: 0: must be between 1 and 65535, inclusive"


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b"{", 400, "couldn't get version/kind"),
        (b"[]", 400, "couldn't get version/kind"),
        (b"\xff", 400, "couldn't get version/kind"),
        (service("web", "x"), 400, "json: cannot unmarshal string into Go struct field"),
        ({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "web"}}, 400, "does not match the expected kind"),
        ({**service("web"), "apiVersion": "v2"}, 400, "the API version in the data (v2) does not match"),
        ({**service("web"), "metadata": []}, 400, "cannot unmarshal"),
        ({**service("web"), "metadata": {}}, 422, "name or generateName is required"),
        (
            {**service("web"), "metadata": {"name": "web", "namespace": "other"}},
            400,
            "namespace of the provided object",
        ),
        (service("Web"), 422, "a lowercase RFC 1123 label"),
        (service("web", clusterIP="10.9.9.9"), 422, "the provided network does not match the current range"),
        (service("web", clusterIP="nonsense"), 422, "must be a valid IP address"),
    ],
)
async def test_a_body_that_is_no_good_is_refused_with_a_status(call: Call, body: Any, code: int, message: str) -> None:
    answered, answer = await call("POST", SERVICES, body)
    assert (answered, answer["kind"], answer["status"], answer["code"]) == (code, "Status", "Failure", code)
    assert message in answer["message"]
    assert (await call("GET", SERVICES))[1]["items"] == []


async def test_bodies_may_be_protobuf_and_patches_may_not(call: Call) -> None:
    created = protobuf_body("Service", [(1, [(1, "web")]), (2, [(1, [(3, 80)]), (2, [(1, "app"), (2, "web")])])])
    code, answer = await call("POST", SERVICES, created, content_type=PROTOBUF, fieldValidation="Strict")
    assert (code, answer["kind"]) == (201, "Service")
    assert answer["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert answer["spec"]["clusterIP"]
    version, address = answer["metadata"]["resourceVersion"], answer["spec"]["clusterIP"]
    changed = protobuf_body("Service", [(1, [(1, "web"), (6, version)]), (2, [(1, [(3, 81)]), (3, address)])])
    code, answer = await call("PUT", f"{SERVICES}/web", changed, content_type=PROTOBUF)
    assert (code, answer["spec"]["ports"][0]["port"]) == (200, 81)
    code, answer = await call("PUT", f"{SERVICES}/web", changed, content_type=PROTOBUF)
    assert (code, answer["reason"]) == (409, "Conflict")
    code, answer = await call("PATCH", f"{SERVICES}/web", changed, content_type=PROTOBUF)
    assert (code, answer["reason"]) == (415, "UnsupportedMediaType")


async def test_a_deletion_in_protobuf_has_its_preconditions_and_dry_run(call: Call) -> None:
    _, made = await call("POST", SERVICES, service("web"))
    other = protobuf_body("DeleteOptions", [(2, [(1, "another")])])
    code, answer = await call("DELETE", f"{SERVICES}/web", other, content_type=PROTOBUF)
    assert (code, answer["reason"]) == (409, "Conflict")
    code, answer = await call("DELETE", f"{SERVICES}/web", protobuf_body("Service", []), content_type=PROTOBUF)
    assert (code, answer["reason"]) == (400, "BadRequest")
    dry = protobuf_body("DeleteOptions", [(5, "All")])
    assert (await call("DELETE", f"{SERVICES}/web", dry, content_type=PROTOBUF))[0] == 200
    this = protobuf_body("DeleteOptions", [(2, [(1, made["metadata"]["uid"])])])
    assert (await call("DELETE", f"{SERVICES}/web", this, content_type=PROTOBUF))[0] == 200
    assert (await call("GET", f"{SERVICES}/web"))[0] == 404


@pytest.mark.parametrize(
    "sent", [b"k8s\0", b"{}", b"k8s\0\x0a\xff", protobuf_body("Service", b"\x12\x7f"), protobuf_body("Pod", [])]
)
async def test_protobuf_that_is_no_good_is_a_bad_request(
    call: Call, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    code, answer = await call("POST", SERVICES, sent, content_type=PROTOBUF)
    assert (code, answer["kind"], answer["reason"]) == (400, "Status", "BadRequest")
    assert caplog.records == []


async def test_unknown_fields_are_refused_warned_of_or_ignored(call: Call, session: aiohttp.ClientSession) -> None:
    body = service("web", foo=1)
    code, answer = await call("POST", SERVICES, body, fieldValidation="Strict")
    assert (code, answer["reason"]) == (400, "BadRequest")
    assert 'strict decoding error: unknown field "spec.foo"' in answer["message"]
    async with session.post(SERVICES, json=body, params={"fieldValidation": "Warn"}) as response:
        assert response.status == 201
        assert response.headers["Warning"] == '299 - "unknown field \\"spec.foo\\""'
        assert "foo" not in (await response.json())["spec"]
    async with session.post(SERVICES, json=service("b", foo=1), params={"fieldValidation": "Ignore"}) as response:
        assert response.status == 201
        assert "Warning" not in response.headers


async def test_a_version_made_from_an_old_one_is_a_conflict(call: Call) -> None:
    _, created = await call("POST", SERVICES, service("web"))
    created["spec"]["sessionAffinity"] = "ClientIP"
    code, updated = await call("PUT", f"{SERVICES}/web", created)
    assert (code, updated["spec"]["sessionAffinity"]) == (200, "ClientIP")
    created["spec"]["sessionAffinity"] = "None"
    code, answer = await call("PUT", f"{SERVICES}/web", created)
    assert (code, answer["reason"]) == (409, "Conflict")
    assert answer["message"].startswith('Operation cannot be fulfilled on services "web": the object has been modified')


async def test_an_update_that_changes_nothing_keeps_the_version(call: Call) -> None:
    _, created = await call("POST", SERVICES, service("web"), fieldManager="me")
    assert await call("PUT", f"{SERVICES}/web", service("web"), fieldManager="me") == (200, created)


async def test_the_cluster_ip_may_not_change_and_a_refusal_changes_nothing(call: Call) -> None:
    _, created = await call("POST", SERVICES, service("web"))
    other = "10.0.0.7" if created["spec"]["clusterIP"] != "10.0.0.7" else "10.0.0.8"
    code, answer = await call("PATCH", f"{SERVICES}/web", {"spec": {"clusterIP": other, "clusterIPs": [other]}}, MERGE)
    assert code == 422
    assert "may not change once set" in answer["message"]
    assert await call("GET", f"{SERVICES}/web") == (200, created)


async def test_what_exists_and_what_does_not_is_told(call: Call) -> None:
    await call("POST", SERVICES, service("web"))
    code, answer = await call("POST", SERVICES, service("web"))
    assert (code, answer["message"]) == (409, 'services "web" already exists')
    code, answer = await call("GET", f"{SLICES}/none")
    assert (code, answer["message"]) == (404, 'endpointslices.discovery.k8s.io "none" not found')
    code, answer = await call("POST", "/api/v1/namespaces/nowhere/services", service("web"))
    assert (code, answer["message"]) == (404, 'namespaces "nowhere" not found')
    for path in ("/api/v1/nothing", "/api/v2/services", f"{SERVICES}/web/scale", "/apis/apps/v1/deployments"):
        code, answer = await call("GET", path)
        assert (code, answer["message"]) == (404, "the server could not find the requested resource")
    assert (await call("POST", "/api/v1/services", service("b")))[0] == 405


async def test_a_dry_run_answers_as_if_and_reserves_nothing(call: Call) -> None:
    for _ in range(3):
        code, answer = await call("POST", SERVICES, service("web", type="NodePort"), dryRun="All")
        assert code == 201
        assert answer["spec"]["ports"][0]["nodePort"]
    assert (await call("GET", SERVICES))[1]["items"] == []
    for number in range(10):
        assert (await call("POST", SERVICES, service(f"s{number}", type="NodePort")))[0] == 201
    code, answer = await call("POST", SERVICES, service("full", type="NodePort"))
    assert (code, answer["message"]) == (
        500,
        "Internal error occurred: failed to allocate a nodePort: range is full",
    )
    assert (await call("DELETE", f"{SERVICES}/s0", dryRun="All"))[0] == 200
    assert (await call("POST", SERVICES, service("full", type="NodePort")))[0] == 500
    await call("DELETE", f"{SERVICES}/s0")
    assert (await call("POST", SERVICES, service("full", type="NodePort")))[0] == 201


async def test_deleting_answers_the_object_or_a_status_and_heeds_preconditions(call: Call) -> None:
    _, created = await call("POST", SERVICES, service("web"))
    code, answer = await call("DELETE", f"{SERVICES}/web", {"preconditions": {"uid": "other"}})
    assert (code, answer["reason"]) == (409, "Conflict")
    code, answer = await call("DELETE", f"{SERVICES}/web", {"propagationPolicy": "Background"})
    assert (code, answer["kind"], answer["metadata"]["uid"]) == (200, "Service", created["metadata"]["uid"])
    assert (await call("GET", f"{SERVICES}/web"))[0] == 404
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"generateName": "e-"}, "involvedObject": {}}
    _, created = await call("POST", "/api/v1/namespaces/default/events", event)
    code, answer = await call("DELETE", f"/api/v1/namespaces/default/events/{created['metadata']['name']}")
    assert (code, answer["status"], answer["details"]["kind"]) == (200, "Success", "events")


async def test_an_object_with_finalizers_goes_when_the_last_one_is_gone(call: Call) -> None:
    body = pod("a", "10.1.0.1")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    await call("POST", PODS, body)
    code, marked = await call("DELETE", f"{PODS}/a")
    assert code == 200
    assert marked["metadata"]["deletionTimestamp"]
    assert (await call("PATCH", f"{PODS}/a", {"metadata": {"finalizers": None}}, MERGE))[0] == 200
    assert (await call("GET", f"{PODS}/a"))[0] == 404


async def test_a_collection_is_deleted_by_selector(call: Call) -> None:
    for name, app in (("a", "web"), ("b", "web"), ("c", "db")):
        await call("POST", PODS, pod(name, "10.1.0.1", app))
    code, deleted = await call("DELETE", PODS, labelSelector="app=web")
    assert code == 200
    assert [item["metadata"]["name"] for item in deleted["items"]] == ["a", "b"]
    assert [item["metadata"]["name"] for item in (await call("GET", PODS))[1]["items"]] == ["c"]


async def test_a_namespace_takes_everything_in_it_along(call: Call) -> None:
    assert (await call("POST", "/api/v1/namespaces", {"metadata": {"name": "team"}}))[0] == 201
    await call("POST", "/api/v1/namespaces/team/services", service("web", selector={"app": "web"}))
    code, answer = await call("DELETE", "/api/v1/namespaces/default")
    assert (code, answer["reason"]) == (403, "Forbidden")
    assert (await call("DELETE", "/api/v1/namespaces/team"))[0] == 200
    for path in ("/api/v1/services", "/api/v1/endpoints", "/apis/discovery.k8s.io/v1/endpointslices"):
        assert (await call("GET", path))[1]["items"] == []


async def test_the_status_is_changed_on_its_own_path_alone(call: Call) -> None:
    await call("POST", SERVICES, service("web", type="LoadBalancer"))
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    _, answer = await call("PATCH", f"{SERVICES}/web", status, MERGE)
    assert answer["status"] == {"loadBalancer": {}}
    code, answer = await call("PATCH", f"{SERVICES}/web/status", {**status, "spec": {"type": "ClusterIP"}}, MERGE)
    assert code == 200
    assert answer["status"]["loadBalancer"]["ingress"][0]["ip"] == "192.0.2.1"
    assert answer["spec"]["type"] == "LoadBalancer"
    _, answer = await call("PATCH", f"{SERVICES}/web", {"spec": {"type": "ClusterIP"}}, MERGE)
    assert answer["status"] == {"loadBalancer": {}}


async def test_a_list_in_pages_is_one_moment_of_all(call: Call) -> None:
    for name in "abcde":
        await call("POST", PODS, pod(name, "10.1.0.1"))
    _, page = await call("GET", PODS, limit="2")
    assert page["metadata"]["remainingItemCount"] == 3
    await call("DELETE", f"{PODS}/d")
    await call("POST", PODS, pod("bb", "10.1.0.2"))
    names = [item["metadata"]["name"] for item in page["items"]]
    for _ in range(2):
        _, page = await call("GET", PODS, limit="2", **{"continue": page["metadata"]["continue"]})
        names += [item["metadata"]["name"] for item in page["items"]]
    assert names == ["a", "b", "c", "d", "e"]
    assert "continue" not in page["metadata"]
    code, answer = await call("GET", PODS, **{"continue": "nonsense!"})
    assert (code, answer["reason"]) == (400, "BadRequest")


async def test_lists_are_selected_by_labels_and_fields(call: Call) -> None:
    await call("POST", SERVICES, service("web", type="NodePort"))
    await call("POST", SERVICES, service("db", clusterIP="None"))
    for query, names in (
        ({"labelSelector": "app in (web)"}, ["web"]),
        ({"fieldSelector": "spec.clusterIP!=None"}, ["web"]),
        ({"fieldSelector": "metadata.name=db"}, ["db"]),
    ):
        _, found = await call("GET", "/api/v1/services", **query)
        assert [item["metadata"]["name"] for item in found["items"]] == names
    for query in ({"labelSelector": "a b"}, {"fieldSelector": "spec.foo=1"}):
        code, answer = await call("GET", SERVICES, **query)
        assert (code, answer["reason"]) == (400, "BadRequest")


async def test_a_version_from_the_future_is_refused(call: Call) -> None:
    code, answer = await call("GET", SERVICES, resourceVersion="1000000")
    assert (code, answer["details"]["causes"][0]["reason"]) == (504, "ResourceVersionTooLarge")


async def test_a_table_is_given_to_who_prefers_one(call: Call) -> None:
    await call("POST", SERVICES, service("web"))
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    _, answer = await call("GET", SERVICES, accept=accept)
    assert answer["kind"] == "Table"
    assert answer["rows"][0]["cells"][0] == "web"
    assert answer["metadata"]["resourceVersion"]
    code, _ = await call("GET", SERVICES, accept="application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1")
    assert code == 406


async def test_the_api_says_what_it_is(call: Call, session: aiohttp.ClientSession) -> None:
    assert (await call("GET", "/version"))[1]["major"] == "1"
    assert (await call("GET", "/api/v1"))[1]["kind"] == "APIResourceList"
    assert (await call("GET", "/apis/none"))[0] == 404
    assert (await call("POST", "/version", {}))[0] == 405
    for path in ("/healthz", "/livez", "/readyz"):
        async with session.get(path) as response:
            assert (response.status, await response.text()) == (200, "ok")


async def test_a_body_beyond_the_limit_is_refused(session: aiohttp.ClientSession) -> None:
    body = io.BytesIO(b" " * (4 * 1024 * 1024))
    async with session.post(SERVICES, data=body, headers={"Content-Type": "application/json"}) as response:
        assert (response.status, (await response.json())["reason"]) == (413, "RequestEntityTooLarge")
