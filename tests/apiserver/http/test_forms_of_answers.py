"""The forms of an answer over TLS: protobuf, YAML and metadata alone say what JSON says, for every kind."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import yaml

from proxy.apiserver.http.negotiation import JSON, PROTOBUF, YAML
from proxy.apiserver.kinds import KINDS, Kind
from proxy.apiserver.schema.protobuf import Budget, wire_fields
from proxy.apiserver.schema.protobuf_object import protobuf_object
from proxy.apiserver.schema.schema import record_of

Call = Callable[..., Awaitable[tuple[int, Any]]]

SERVICES = "/api/v1/namespaces/default/services"
PODS = "/api/v1/namespaces/default/pods"
PARTIAL = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
PARTIAL_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"


def pod(name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }


@pytest.fixture
async def objects(call: Call) -> None:
    """At least one object of most kinds."""
    await call("POST", "/api/v1/nodes", {"metadata": {"name": "here"}})
    await call(
        "POST", SERVICES, {"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}}
    )
    await call("POST", PODS, {**pod("a"), "status": {"podIP": "10.1.0.1"}})


async def fetched(session: aiohttp.ClientSession, path: str, accept: str) -> tuple[int, str, bytes]:
    async with session.get(path, headers={"Accept": accept}) as response:
        return response.status, response.headers["Content-Type"], await response.read()


def collection(kind: Kind) -> str:
    return f"{kind.root}/{kind.plural}"


@pytest.mark.usefixtures("objects")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.plural)
async def test_a_list_says_the_same_in_every_form(call: Call, session: aiohttp.ClientSession, kind: Kind) -> None:
    _, expected = await call("GET", collection(kind))
    code, content_type, body = await fetched(session, collection(kind), YAML)
    assert (code, content_type, yaml.safe_load(body)) == (200, YAML, expected)
    code, content_type, body = await fetched(session, collection(kind), PROTOBUF)
    assert (code, content_type) == (200, PROTOBUF)
    assert body[:4] == b"k8s\0"
    envelope, content = (value for _, value in wire_fields(body[4:], Budget(10_000)))
    assert isinstance(envelope, bytes)
    assert [value for _, value in wire_fields(envelope, Budget(10_000))] == [
        kind.api_version.encode(),
        kind.list_kind.encode(),
    ]
    assert isinstance(content, bytes)
    _, *items = (value for _, value in wire_fields(content, Budget(10_000)))
    assert len(items) == len(expected["items"])
    code, _, body = await fetched(session, collection(kind), PARTIAL_LIST)
    partial = yaml.safe_load(body)
    assert (partial["kind"], partial["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert [item["metadata"] for item in partial["items"]] == [item["metadata"] for item in expected["items"]]
    assert {tuple(sorted(item)) for item in partial["items"]} <= {("apiVersion", "kind", "metadata")}


@pytest.mark.usefixtures("objects")
async def test_the_items_of_a_list_do_not_repeat_what_they_are(call: Call) -> None:
    for kind in KINDS:
        _, found = await call("GET", collection(kind))
        assert (found["kind"], found["apiVersion"]) == (kind.list_kind, kind.api_version)
        assert not any("kind" in item or "apiVersion" in item for item in found["items"])


@pytest.mark.usefixtures("objects")
async def test_an_object_says_the_same_in_every_form(call: Call, session: aiohttp.ClientSession) -> None:
    for path, kind in ((f"{SERVICES}/web", KINDS[5]), (f"{PODS}/a", KINDS[4])):
        _, expected = await call("GET", path)
        _, _, body = await fetched(session, path, PROTOBUF)
        read = protobuf_object(body, record_of(kind))
        assert read["metadata"] == expected["metadata"]
        assert read["spec"] == expected["spec"]
        _, _, body = await fetched(session, path, YAML)
        assert yaml.safe_load(body) == expected
        _, _, body = await fetched(session, path, PARTIAL)
        assert yaml.safe_load(body)["metadata"] == expected["metadata"]


@pytest.mark.parametrize(
    ("path", "accept", "message"),
    [
        (SERVICES, PARTIAL.split(",")[0], "you requested PartialObjectMetadata, but the requested object is a list"),
        (
            "/api/v1/namespaces/default",
            PARTIAL_LIST.split(",")[0],
            "you requested PartialObjectMetadataList, but the requested object is not a list",
        ),
    ],
)
async def test_a_list_is_not_one_object(session: aiohttp.ClientSession, path: str, accept: str, message: str) -> None:
    code, _, body = await fetched(session, path, accept)
    assert (code, yaml.safe_load(body)["message"]) == (406, message)


@pytest.mark.parametrize(("accept", "content_type"), [(YAML, YAML), (PROTOBUF, PROTOBUF), ("text/html", JSON)])
async def test_an_error_has_the_form_of_the_answer(
    session: aiohttp.ClientSession, accept: str, content_type: str
) -> None:
    code, found, body = await fetched(session, f"{SERVICES}/none", accept)
    assert (code, found.split(";")[0]) == (404, content_type)
    assert b"none" in body
    assert b"NotFound" in body


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ({"limit": ""}, 400, 'strconv.ParseInt: parsing "": invalid syntax'),
        ({"limit": "x"}, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ({"watch": "1", "timeoutSeconds": "abc"}, 400, 'strconv.ParseInt: parsing "abc": invalid syntax'),
        ({"limit": "-1"}, 200, ""),
        ({"resourceVersion": "0", "limit": "1"}, 200, ""),
        ({"labelSelector": "a>1,b<7"}, 200, ""),
        ({"resourceVersion": "abc"}, 500, 'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc"'),
        ({"sendInitialEvents": "true"}, 422, "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"),
        (
            {"resourceVersion": "0", "resourceVersionMatch": "Exact"},
            422,
            'resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
        ),
        (
            {"resourceVersionMatch": "Exact"},
            422,
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        ),
        ({"resourceVersion": "999999"}, 504, "Timeout: Too large resource version: 999999, current: "),
    ],
)
async def test_parameters_of_a_list_mean_what_they_mean_in_kubernetes(
    call: Call, query: dict[str, str], code: int, message: str
) -> None:
    for name in "abc":
        await call("POST", PODS, pod(name))
    found, answer = await call("GET", PODS, **query)
    assert found == code, answer
    assert message in answer.get("message", "")
    if code == 200 and "labelSelector" not in query:
        assert len(answer["items"]) == 3
