"""Bodies that ask for more work than their length: each is refused or done within bounds, and nobody else waits."""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.apiserver.protobuf_encoder import protobuf_body

Call = Callable[..., Awaitable[tuple[int, Any]]]

SERVICES = "/api/v1/namespaces/default/services"
WEB = f"{SERVICES}/web"
JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
LARGE = 3 * 1024 * 1024 - 1024
MOST_PROCESSOR_SECONDS = 10.0
"""Each takes a tenth of that at most; the attacks took minutes."""


def service(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": spec}


def doubling() -> Any:
    return [{"op": "copy", "from": "/spec", "path": f"/spec/c{number}"} for number in range(60)]


def aliases() -> bytes:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 500)]
    return "\n".join(["apiVersion: v1", "kind: Service", *lines]).encode()


def ports(count: int) -> list[dict[str, Any]]:
    return [{"port": number, "name": f"p{number}"} for number in range(1, count + 1)]


def labelled(count: int) -> dict[str, Any]:
    return {"metadata": {"labels": {f"l{number}": "" for number in range(count)}}}


HOSTILE: list[Any] = [
    pytest.param("PATCH", WEB, doubling(), JSON_PATCH, 422, id="copies that double"),
    pytest.param("PATCH", WEB, [{"op": "test", "path": ""}] * 10_001, JSON_PATCH, 413, id="many operations"),
    pytest.param("PATCH", WEB, aliases(), APPLY, 400, id="aliases in a patch"),
    pytest.param("POST", SERVICES, aliases(), "application/yaml", 400, id="aliases in an object"),
    pytest.param("POST", SERVICES, b"[" + b"{}," * (LARGE // 3) + b"{}]", JSON, 413, id="empty ports"),
    pytest.param("POST", SERVICES, service(ports=ports(12_000)), JSON, 422, id="many ports"),
    pytest.param("POST", SERVICES, b"- a\n" * (LARGE // 4), "application/yaml", 413, id="large YAML"),
    pytest.param("POST", SERVICES, b"- a\n" * 250_000, "application/yaml", 400, id="much YAML"),
    pytest.param("PATCH", WEB, service(ports=ports(2_000)), STRATEGIC, 200, id="strategic merge of many ports"),
    pytest.param("PATCH", WEB, service(ports=[{"port": 80}] * 2_000), STRATEGIC, 200, id="one port many times"),
    pytest.param("PATCH", WEB, {"metadata": {"labels": {f"l{n}": "" for n in range(50_001)}}}, MERGE, 413, id="labels"),
    pytest.param(
        "PATCH", WEB, {"metadata": {"labels": {f"l{n}": "" for n in range(9_000)}}}, MERGE, 422, id="few labels"
    ),
    pytest.param(
        "POST", SERVICES, protobuf_body("Service", [(2, [(1, [])] * 700_000)], "v1"), PROTOBUF, 413, id="empty messages"
    ),
    pytest.param("POST", SERVICES, b'{"a":' * 100_000, JSON, 413, id="deep"),
    pytest.param("POST", SERVICES, b'{"a":' * 1_000, JSON, 400, id="less deep"),
    pytest.param("PATCH", WEB, b'{"metadata":{"labels":{"a":"\\ud800"}}}', MERGE, 400, id="half a surrogate pair"),
    pytest.param("PATCH", WEB, b'{"spec":{"ports":[{"port":' + b"9" * 5_000 + b"}]}}", MERGE, 400, id="many digits"),
]


@pytest.mark.parametrize(("method", "path", "body", "content_type", "code"), HOSTILE)
async def test_a_hostile_body_takes_bounded_work_and_leaves_the_api_as_it_was(
    call: Call, method: str, path: str, body: Any, content_type: str, code: int
) -> None:
    assert (await call("POST", SERVICES, service(ports=[{"port": 80}])))[0] == 201
    encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
    began = time.process_time()
    answered, answer = await call(method, path, encoded, content_type=content_type)
    took = time.process_time() - began
    assert answered == code, str(answer)[:500]
    assert took < MOST_PROCESSOR_SECONDS
    assert (await call("PATCH", WEB, {"metadata": {"labels": {"still": "there"}}}, content_type=MERGE))[0] == 200
