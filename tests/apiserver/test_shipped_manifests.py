"""config/kubernetes/ as the API sees it: strict decoding of its Pods, admission of its Services and Namespaces."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from proxy.apiserver.embedded_api import EmbeddedAPI, embedded_api
from proxy.cluster.cluster import ClusterSettings

Call = Callable[..., Awaitable[tuple[int, Any]]]

DIRECTORY = Path(__file__).parents[2] / "config" / "kubernetes"
STRICT = {"dryRun": "All", "fieldValidation": "Strict"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[EmbeddedAPI]:
    """One with the ranges of an ordinary cluster."""
    settings = ClusterSettings(service_ranges=("10.96.0.0/12",), node_name="here")
    async with embedded_api(str(tmp_path), ("127.0.0.1", 0), settings, lambda _: None, Random(1)) as running:
        yield running


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(DIRECTORY.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            yield path.name, document


def pods() -> list[Any]:
    """Every workload's Pod, as its controller would create it."""
    found = []
    for name, document in documents():
        template = document if document["kind"] == "Pod" else document.get("spec", {}).get("template")
        if template is not None:
            metadata = {"labels": template["metadata"].get("labels", {}), "generateName": "try-"}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
            found.append(pytest.param(pod, id=f"{name}-{document['metadata']['name']}"))
    return found


def objects(kind: str) -> list[Any]:
    return [
        pytest.param(document, id=f"{name}-{document['metadata']['name']}")
        for name, document in documents()
        if document["kind"] == kind
    ]


async def test_there_is_a_pod_in_each_of_the_three_workloads() -> None:
    assert len(pods()) >= 3


@pytest.mark.parametrize("pod", pods())
async def test_every_pod_is_accepted_field_by_field(call: Call, pod: dict[str, Any]) -> None:
    code, answer = await call("POST", "/api/v1/namespaces/default/pods", pod, **STRICT)
    assert code == 201, answer["message"]


@pytest.mark.parametrize("pod", pods())
async def test_a_misspelt_field_of_a_pod_would_be_found(call: Call, pod: dict[str, Any]) -> None:
    container = pod["spec"]["containers"][0] | {"livenesProbe": {}}
    misspelt = pod | {"spec": pod["spec"] | {"containers": [container]}}
    code, answer = await call("POST", "/api/v1/namespaces/default/pods", misspelt, **STRICT)
    assert (code, "livenesProbe" in answer["message"]) == (400, True)


@pytest.mark.parametrize("service", objects("Service"))
async def test_every_service_is_admitted(call: Call, service: dict[str, Any]) -> None:
    here = service | {"metadata": service["metadata"] | {"namespace": "default"}}
    code, answer = await call("POST", "/api/v1/namespaces/default/services", here, **STRICT)
    assert code == 201, answer["message"]


@pytest.mark.parametrize("namespace", objects("Namespace"))
async def test_every_namespace_is_accepted(call: Call, namespace: dict[str, Any]) -> None:
    code, answer = await call("POST", "/api/v1/namespaces", namespace, **STRICT)
    assert code == 201, answer["message"]
