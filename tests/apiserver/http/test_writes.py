"""Writes as a kube-apiserver takes and refuses them: metadata, subresources, options and warnings, of every kind."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

Call = Callable[..., Awaitable[tuple[int, Any]]]

CORE = "/api/v1/namespaces/default"
SERVICES = f"{CORE}/services"
WEB = f"{SERVICES}/web"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


def service(name: str = "web", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "spec": {"ports": [{"port": 80}]}}


KINDS: list[Any] = [
    pytest.param(SERVICES, service("x"), id="Service"),
    pytest.param(f"{CORE}/endpoints", {"metadata": {"name": "x"}}, id="Endpoints"),
    pytest.param(
        f"{CORE}/pods",
        {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        id="Pod",
    ),
    pytest.param("/api/v1/nodes", {"metadata": {"name": "x"}}, id="Node"),
    pytest.param("/api/v1/namespaces", {"metadata": {"name": "x"}}, id="Namespace"),
    pytest.param(SLICES, {"metadata": {"name": "x"}, "addressType": "IPv4"}, id="EndpointSlice"),
]


@pytest.mark.parametrize(("collection", "body"), KINDS)
async def test_metadata_is_held_to_the_same_rules_in_every_kind(call: Call, collection: str, body: Any) -> None:
    async def create(**metadata: Any) -> tuple[int, str]:
        sent = {**body, "metadata": {**body["metadata"], **metadata}}
        code, answer = await call("POST", collection, sent)
        return code, answer.get("message", "")

    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}
    for metadata, message in (
        ({"finalizers": ["a"]}, 'metadata.finalizers[0]: Invalid value: "a": name is neither a standard finalizer'),
        ({"ownerReferences": [{**owner, "uid": ""}]}, 'metadata.ownerReferences.uid: Invalid value: "": must not be'),
        ({"ownerReferences": [{**owner, "apiVersion": ""}]}, "version must not be empty"),
        ({"ownerReferences": [{**owner, "kind": "Event"}]}, "/v1, Kind=Event is disallowed from being an owner"),
        ({"annotations": {"a": "x" * 262_144}}, "metadata.annotations: Too long: may not be more than 262144 bytes"),
        ({"name": "", "generateName": "Gen-"}, 'metadata.generateName: Invalid value: "Gen-"'),
    ):
        code, said = await create(**metadata)
        assert (code, message in said) == (422, True), said
    assert await create(resourceVersion="7") == (500, "resourceVersion should not be set on objects to be created")
    code, said = await create(finalizers=["a.b/c"], labels={}, annotations={})
    assert code == 201, said
    code, kept = await call("GET", f"{collection}/x")
    assert "annotations" not in kept["metadata"]
    path = f"{collection}/x"
    for name, value in (("deletionTimestamp", "2020-01-01T00:00:00Z"), ("deletionGracePeriodSeconds", 5), ("uid", "x")):
        code, refused = await call("PATCH", path, {"metadata": {name: value}}, content_type=MERGE)
        assert (code, "field is immutable" in refused["message"]) == (422, True)
    assert (await call("DELETE", path))[0] == 200
    code, refused = await call("PATCH", path, {"metadata": {"finalizers": ["a.b/c", "a.b/d"]}}, content_type=MERGE)
    found = 'if the object is being deleted, found new finalizers []string{"a.b/d"}'
    assert (code, found in refused["message"]) == (422, True)
    code, _ = await call("PATCH", path, {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert code == 200
    assert (await call("GET", path))[0] == 404


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    ("collection", "body"), [each for each in KINDS if each.id in ("Service", "Node", "Namespace")]
)
async def test_the_status_of_an_object_comes_with_metadata_and_without_spec(
    call: Call, collection: str, body: Any, method: str
) -> None:
    _, created = await call("POST", collection, body)
    metadata = {"labels": {"l": "1"}, "annotations": {"a": "1"}, "finalizers": ["a.b/c"]}
    sent: Any = {"metadata": metadata, "spec": {"externalName": "no"}}
    if method == "PUT":
        sent = {**created, "metadata": {**created["metadata"], **metadata}}
    code, changed = await call(method, f"{collection}/x/status", sent, content_type=MERGE if method == "PATCH" else "")
    assert code == 200, changed
    assert changed["metadata"]["finalizers"] == ["a.b/c"]
    assert (changed["metadata"]["labels"]["l"], changed["metadata"]["annotations"]) == ("1", {"a": "1"})
    assert changed.get("spec") == created.get("spec")


async def test_a_finalizer_that_goes_by_the_status_lets_a_service_go(call: Call) -> None:
    await call("POST", SERVICES, service(finalizers=["service.kubernetes.io/load-balancer-cleanup"]))
    assert (await call("DELETE", WEB))[1]["metadata"]["deletionTimestamp"]
    code, _ = await call("PATCH", f"{WEB}/status", {"metadata": {"finalizers": None}}, content_type=MERGE)
    assert code == 200
    assert (await call("GET", WEB))[0] == 404


async def test_an_object_says_its_name_and_any_version_is_version_0(call: Call) -> None:
    _, created = await call("POST", SERVICES, service())
    nameless = {**created, "metadata": {"resourceVersion": created["metadata"]["resourceVersion"]}}
    message = "the name of the object (web based on URL) was undeterminable: name must be provided"
    code, refused = await call("PUT", WEB, nameless)
    assert (code, refused["message"]) == (400, message)
    remove = [{"op": "remove", "path": "/metadata/name"}]
    assert (await call("PATCH", WEB, remove, content_type=JSON_PATCH))[0] == 400
    applied = {"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": {"ports": [{"port": 80}]}}
    code, refused = await call("PATCH", f"{SERVICES}/new", applied, content_type=APPLY, fieldManager="me")
    assert (code, refused["message"]) == (400, message.replace("web", "new"))
    code, _ = await call("PATCH", WEB, {"metadata": {"resourceVersion": "0", "labels": {"a": "b"}}}, content_type=MERGE)
    assert code == 200


async def test_put_creates_services_endpoints_and_events_alone(call: Call) -> None:
    assert (await call("PUT", WEB, service()))[0] == 201
    assert (await call("PUT", f"{CORE}/endpoints/e", {"metadata": {"name": "e"}}))[0] == 201
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    assert (await call("PUT", f"{CORE}/pods/p", pod))[0] == 404
    assert (await call("PUT", WEB, service("other")))[0] == 400


async def test_preconditions_are_answered_as_by_the_api_server(call: Call) -> None:
    _, created = await call("POST", SERVICES, service())
    uid = created["metadata"]["uid"]
    code, refused = await call("PUT", WEB, service(uid="x"))
    assert (code, refused["message"]) == (
        409,
        'Operation cannot be fulfilled on services "web": StorageError: invalid object, Code: 4, Key: '
        "/registry/services/specs/default/web, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: "
        f"UID in precondition: x, UID in object meta: {uid}",
    )
    code, refused = await call("DELETE", WEB, {"preconditions": {"uid": "x"}})
    assert (code, refused["message"]) == (
        409,
        f'Operation cannot be fulfilled on Service "web": the UID in the precondition (x) does not match the UID in '
        f"record ({uid}). The object might have been deleted and then recreated",
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"dryRun": "x"}, 'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["x"]'),
        ({"dryRun": ""}, 'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: [""]'),
        ({"fieldValidation": "x"}, 'fieldValidation: Unsupported value: "x": supported values: "", "Ignore", "Strict"'),
        ({"fieldManager": "x" * 129}, "fieldManager: Too long: may not be more than 128 bytes"),
    ],
)
async def test_options_that_are_none_are_refused(call: Call, query: dict[str, str], message: str) -> None:
    code, refused = await call("POST", SERVICES, service(), **query)
    assert (code, message in refused["message"]) == (422, True), refused["message"]


async def test_how_to_delete_is_checked(call: Call) -> None:
    await call("POST", SERVICES, service())
    code, refused = await call("DELETE", WEB, propagationPolicy="foo")
    assert (code, 'propagationPolicy: Unsupported value: "foo"' in refused["message"]) == (422, True)
    assert (await call("DELETE", WEB, {"kind": "Pod", "apiVersion": "v1"}))[0] == 400
    assert (await call("DELETE", WEB, {"dryRun": ["All"]}))[0] == 200
    assert (await call("GET", WEB))[0] == 200


async def test_an_apply_names_its_manager(call: Call) -> None:
    applied = {"apiVersion": "v1", "kind": "Service", **service()}
    code, refused = await call("PATCH", WEB, applied, content_type=APPLY)
    text = 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
    assert (code, refused["message"]) == (422, text)


async def test_who_creates_an_object_owns_its_defaults(call: Call) -> None:
    _, created = await call("POST", SERVICES, service(), fieldManager="maker")
    (entry,) = created["metadata"]["managedFields"]
    spec = entry["fieldsV1"]["f:spec"]
    assert {"f:type", "f:sessionAffinity", "f:internalTrafficPolicy", "f:ports"} <= spec.keys()
    assert not {"f:clusterIP", "f:clusterIPs", "f:ipFamilies", "f:selector"} & spec.keys()
    applied = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"type": "NodePort"}}
    code, refused = await call("PATCH", WEB, applied, content_type=APPLY, fieldManager="other")
    assert (code, refused["message"]) == (
        409,
        'Apply failed with 1 conflict: conflict with "maker" using v1: .spec.type',
    )


async def test_a_generation_is_counted_where_the_kind_has_one(call: Call) -> None:
    _, created = await call("POST", SERVICES, service())
    assert "generation" not in created["metadata"]
    _, made = await call("POST", SLICES, {"metadata": {"name": "s"}, "addressType": "IPv4"})
    assert made["metadata"]["generation"] == 1
    _, made = await call("PATCH", f"{SLICES}/s", {"metadata": {"labels": {"a": "b"}}}, content_type=MERGE)
    assert made["metadata"]["generation"] == 2
    _, made = await call("PATCH", f"{SLICES}/s", {"metadata": {"annotations": {"a": "b"}}}, content_type=MERGE)
    assert made["metadata"]["generation"] == 2


async def test_addresses_are_stated_with_the_first_of_them(call: Call) -> None:
    sent = service()
    sent["spec"]["clusterIPs"] = ["10.0.0.5"]
    code, refused = await call("POST", SERVICES, sent)
    text = '["10.0.0.5"]: must be empty when `clusterIP` is not specified'
    assert (code, text in refused["message"]) == (422, True)


async def test_an_owner_that_is_there_twice_is_there_once_and_told(session: aiohttp.ClientSession) -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}
    async with session.post(SERVICES, json=service(ownerReferences=[owner, owner])) as response:
        assert response.status == 201
        assert (await response.json())["metadata"]["ownerReferences"] == [owner]
        assert "duplicate UID(s) observed: [u]" in response.headers["Warning"]


async def test_what_strict_decoding_finds_after_a_patch_is_wrong_with_the_patch(call: Call) -> None:
    await call("POST", SERVICES, service())
    strategic = "application/strategic-merge-patch+json"
    patch = {"spec": {"foo": "bar"}}
    code, refused = await call("PATCH", WEB, patch, content_type=strategic, fieldValidation="Strict")
    text = 'patch: Invalid value: "map[spec:map[foo:bar]]": strict decoding error: unknown field "spec.foo"'
    assert (code, refused["message"]) == (422, f' "" is invalid: {text}')
    code, refused = await call("PATCH", WEB, {"spec": {"ports": [{"targetPort": 80}]}}, content_type=strategic)
    text = "map: map[targetPort:80] does not contain declared merge key: port"
    assert (code, refused["message"]) == (500, text)


async def test_an_apply_of_what_the_schema_does_not_have_is_refused_in_every_mode(call: Call) -> None:
    applied = {"apiVersion": "v1", "kind": "Service", **service()}
    applied["spec"] = {"selektor": {}}
    for validation in ("Strict", "Warn", "Ignore"):
        code, refused = await call(
            "PATCH", WEB, applied, content_type=APPLY, fieldManager="me", fieldValidation=validation
        )
        text = "(web; v1, Kind=Service): .spec.selektor: field not declared in schema"
        assert (code, refused["message"]) == (500, f"failed to create typed patch object {text}")


async def test_a_time_is_one_of_rfc_3339(call: Call) -> None:
    code, refused = await call("POST", SERVICES, service(creationTimestamp="yesterday"))
    text = 'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"'
    assert (code, text in refused["message"]) == (400, True)
    assert (await call("POST", SERVICES, service(creationTimestamp="2026-01-01T00:00:00.5+02:00")))[0] == 201


@pytest.mark.parametrize(
    ("hints", "message"),
    [
        ({"forZones": [{"name": "z"}, {"name": "z"}]}, 'hints.forZones[1].name: Duplicate value: "z"'),
        ({"forZones": [{"name": "a b"}]}, 'hints.forZones[0].name: Invalid value: "a b"'),
        ({"forNodes": [{"name": "N"}]}, 'hints.forNodes[0].name: Invalid value: "N"'),
        ({"forNodes": [{"name": "n"}, {"name": "n"}]}, 'hints.forNodes[1].name: Duplicate value: "n"'),
    ],
)
async def test_hints_name_each_zone_and_node_once(call: Call, hints: Any, message: str) -> None:
    endpoint = {"addresses": ["10.1.0.1"], "hints": hints}
    made = {"metadata": {"name": "s"}, "addressType": "IPv4", "endpoints": [endpoint]}
    code, refused = await call("POST", SLICES, made)
    assert (code, message in refused["message"]) == (422, True), refused["message"]


async def test_an_endpoint_has_conditions_and_no_topology(call: Call) -> None:
    endpoint = {"addresses": ["10.1.0.1"], "deprecatedTopology": {"a": "b"}}
    made = {"metadata": {"name": "s"}, "addressType": "IPv4", "endpoints": [endpoint]}
    _, created = await call("POST", SLICES, made)
    assert created["endpoints"] == [{"addresses": ["10.1.0.1"], "conditions": {}}]
