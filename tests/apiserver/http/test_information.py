"""What the API says about itself over TLS: paths, health, OpenAPI, tags, and what it has no kubelet for."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from proxy.apiserver.kinds import KINDS

Call = Callable[..., Awaitable[tuple[int, Any]]]

PODS = "/api/v1/namespaces/default/pods"
ENDPOINTS = "/api/v1/namespaces/default/endpoints"
DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


async def test_the_root_names_every_path(call: Call) -> None:
    code, answer = await call("GET", "/")
    assert code == 200
    assert {kind.root for kind in KINDS} <= set(answer["paths"])
    assert {"/api", "/apis", "/readyz", "/openapi/v2", "/openapi/v3/api/v1", "/version"} <= set(answer["paths"])


@pytest.mark.parametrize(
    ("path", "code", "text"),
    [
        ("/readyz", 200, "ok"),
        ("/readyz/ping", 200, "ok"),
        ("/livez?verbose", 200, "[+]ping ok\n[+]log ok\n[+]storage ok\nlivez check passed\n"),
        (
            "/readyz?verbose&exclude=log",
            200,
            "[+]ping ok\n[+]log excluded: ok\n[+]storage ok\nreadyz check passed\n",
        ),
    ],
)
async def test_health_says_its_checks(session: aiohttp.ClientSession, path: str, code: int, text: str) -> None:
    async with session.get(path) as response:
        assert (response.status, await response.text()) == (code, text)


@pytest.mark.parametrize("path", ["/readyz/foo", "/healthz/ping/more"])
async def test_a_check_that_does_not_exist_is_not_found(call: Call, path: str) -> None:
    assert (await call("GET", path))[0] == 404


@pytest.mark.parametrize("accept", ["application/json", "*/*"])
async def test_openapi_v2_is_json_for_whoever_asks_for_it(session: aiohttp.ClientSession, accept: str) -> None:
    async with session.get("/openapi/v2", headers={"Accept": accept}) as response:
        assert (response.status, response.content_type) == (200, "application/json")
        document = json.loads(await response.text())
    assert document["swagger"] == "2.0"
    service = document["definitions"]["io.k8s.api.core.v1.Service"]
    assert service["properties"]["spec"]["$ref"] == "#/definitions/io.k8s.api.core.v1.ServiceSpec"
    assert service["x-kubernetes-group-version-kind"] == [{"group": "", "kind": "Service", "version": "v1"}]
    references = {part.split('"')[0] for part in json.dumps(document).split("#/definitions/")[1:]}
    assert references <= document["definitions"].keys()


async def test_openapi_v2_has_no_other_form(call: Call) -> None:
    assert (await call("GET", "/openapi/v2", accept="text/html"))[0] == 406


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/apis", DISCOVERY),
        ("/openapi/v3", "application/json"),
        ("/openapi/v3/api/v1", "application/json"),
        ("/openapi/v2", "application/json"),
    ],
)
async def test_who_has_a_document_already_is_not_sent_it_again(
    session: aiohttp.ClientSession, path: str, accept: str
) -> None:
    async with session.get(path, headers={"Accept": accept}) as response:
        assert response.status == 200
        tag = response.headers["ETag"]
    async with session.get(path, headers={"Accept": accept, "If-None-Match": tag}) as response:
        assert (response.status, await response.read()) == (304, b"")
    async with session.get(path, headers={"Accept": accept, "If-None-Match": '"other"'}) as response:
        assert response.status == 200


@pytest.mark.parametrize("name", ["log", "exec", "attach", "portforward"])
async def test_what_a_kubelet_would_do_says_that_there_is_none(call: Call, name: str) -> None:
    assert (await call("GET", f"{PODS}/none/{name}"))[0] == 404
    await call("POST", PODS, {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    code, answer = await call("GET", f"{PODS}/a/{name}")
    assert (code, answer["message"]) == (501, f"{name} needs a kubelet, and there is none behind this API")


async def test_a_name_that_is_no_part_of_a_path_is_refused(call: Call) -> None:
    code, answer = await call("GET", f"{PODS}/a%25b")
    assert (code, answer["message"]) == (400, "Name parameter invalid: \"a%b\": may not contain '%'")


@pytest.mark.parametrize("path", [ENDPOINTS, f"{ENDPOINTS}/none", "/api/v1/endpoints?watch=true&timeoutSeconds=1"])
async def test_whoever_uses_endpoints_is_told_of_slices(session: aiohttp.ClientSession, path: str) -> None:
    async with session.get(path) as response:
        assert response.headers["Warning"] == (
            '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
        )
    async with session.get("/apis/discovery.k8s.io/v1/endpointslices") as response:
        assert "Warning" not in response.headers
