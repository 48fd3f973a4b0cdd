"""`services/NAME:PORT/proxy` and `pods/NAME/proxy` over TLS, with HTTP servers on loopback behind them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from proxy.apiserver.http.proxy_location import proxy_target_of
from proxy.apiserver.kinds import PODS as PODS_KIND
from proxy.apiserver.kinds import SERVICES as SERVICES_KIND

Call = Callable[..., Awaitable[tuple[int, Any]]]

SERVICES = "/api/v1/namespaces/default/services"
PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server that tells what it was asked, and redirects /from."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/from":
            return web.Response(status=302, headers={"Location": "/to?a=b"})
        body = await request.read()
        said = {
            "method": request.method,
            "path": request.raw_path,
            "body": body.decode(),
            "authorization": request.headers.get("Authorization", ""),
            "own": request.headers.get("X-Own", ""),
        }
        return web.json_response(said, status=418 if request.path == "/teapot" else 200)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.fixture
async def served(call: Call, port: int) -> None:
    """A Service and a pod that lead to the server."""
    await call("POST", SERVICES, {"metadata": {"name": "empty"}, "spec": {"ports": [{"port": 80}]}})
    containers = [{"name": "c", "image": "i", "ports": [{"containerPort": port}]}]
    pod = {"metadata": {"name": "a", "labels": {"app": "web"}}, "spec": {"containers": containers}}
    await call("POST", PODS, {**pod, "status": {"podIP": "127.0.0.1"}})
    selecting = {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": port}]}
    await call("POST", SERVICES, {"metadata": {"name": "picked"}, "spec": selecting})


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("name", ["services/picked:http", "services/picked:80", "services/http:picked:80", "pods/a"])
async def test_a_request_is_forwarded_as_it_is_but_for_the_token(session: aiohttp.ClientSession, name: str) -> None:
    url = f"/api/v1/namespaces/default/{name}/proxy/some/path?x=y"
    async with session.post(url, data=b"said", headers={"X-Own": "kept"}) as response:
        assert response.status == 200
        assert await response.json() == {
            "method": "POST",
            "path": "/some/path?x=y",
            "body": "said",
            "authorization": "",
            "own": "kept",
        }


@pytest.mark.usefixtures("served")
async def test_the_answer_is_the_servers_own(session: aiohttp.ClientSession, port: int) -> None:
    root = f"{PODS}/a:{port}/proxy"
    async with session.get(f"{root}/teapot") as response:
        assert response.status == 418
    async with session.get(f"{root}/from", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (302, f"{root}/to?a=b")
    async with session.head(f"{root}/") as response:
        assert (response.status, await response.read()) == (200, b"")


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_without_a_slash_it_is_moved(session: aiohttp.ClientSession, method: str) -> None:
    for path in (f"{PODS}/a/proxy", f"{SERVICES}/picked:http/proxy"):
        async with session.request(method, path, params={"a": "b"}, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (301, f"{path}/?a=b")
    async with session.post(f"{PODS}/a/proxy", allow_redirects=False) as response:
        assert (response.status, (await response.json())["path"]) == (200, "/")


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        (f"{SERVICES}/none/proxy/", 404, 'services "none" not found'),
        (f"{SERVICES}/empty/proxy/", 503, 'no endpoints available for service "empty"'),
        (f"{SERVICES}/picked:82/proxy/", 503, 'no service port 82 found for service "picked"'),
        (f"{SERVICES}/picked:none/proxy/", 503, 'no endpoints available for service "picked"'),
        (f"{PODS}/a:1/proxy/", 503, "error trying to reach service: "),
        (f"{PODS}/none/proxy/", 404, 'pods "none" not found'),
    ],
)
async def test_what_cannot_be_reached_says_why(call: Call, path: str, code: int, message: str) -> None:
    found, answer = await call("GET", path)
    assert found == code
    assert message in answer["message"]


def test_a_url_names_scheme_object_and_port() -> None:
    target = proxy_target_of(f"{SERVICES}/https:web:http/proxy/a%2Fb")
    assert target is not None
    assert target == (SERVICES_KIND, "default", "web", "http", "https", "/a%2Fb", f"{SERVICES}/https:web:http/proxy")
    plain = proxy_target_of(f"{PODS}/a/proxy")
    assert plain is not None
    assert (plain.kind, plain.port, plain.scheme, plain.path) == (PODS_KIND, "", "http", "")
    for other in (
        f"{SERVICES}/web",
        f"{SERVICES}/a:b:c:d/proxy",
        f"{SERVICES}/ftp:web:1/proxy",
        "/api/v1/nodes/a/proxy",
    ):
        assert proxy_target_of(other) is None


async def test_the_api_counts_its_requests(call: Call, session: aiohttp.ClientSession) -> None:
    await call("GET", SERVICES)
    await call("GET", f"{SERVICES}/none")
    async with session.get("/metrics") as response:
        assert response.content_type == "text/plain"
        text = await response.text()
    labels = 'group="",version="v1",resource="services",subresource=""'
    assert f'verb="LIST",{labels},scope="namespace",code="200"' in _in_order(text)
    assert f'verb="GET",{labels},scope="resource",code="404"' in _in_order(text)
    assert 'apiserver_storage_objects{resource="services"}' in text


def _in_order(text: str) -> str:
    """The exposition with the labels of requests in the order in which they are defined."""
    names = ("verb", "group", "version", "resource", "subresource", "scope", "code")
    lines = []
    for line in text.splitlines():
        if line.startswith("apiserver_request_total{"):
            found = dict(part.split("=", 1) for part in line[line.index("{") + 1 : line.index("}")].split(","))
            line = ",".join(f"{name}={found[name]}" for name in names)
        lines.append(line)
    return "\n".join(lines)
