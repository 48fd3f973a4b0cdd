"""kubernetes_asyncio, unmodified, as a second client of the API: typed models, its own watch, its own errors."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes_asyncio.client import (
    ApiClient,
    ApiException,
    CoreV1Api,
    DiscoveryV1Api,
    V1ObjectMeta,
    V1Service,
    V1ServicePort,
    V1ServiceSpec,
)
from kubernetes_asyncio.config import new_client_from_config
from kubernetes_asyncio.watch import Watch

from tests.system.harness.clients import is_refused
from tests.system.harness.eventually import eventually
from tests.system.harness.held import held_frontends, held_pool_settings, held_services
from tests.system.harness.manifests import pod
from tests.system.harness.myapp import LABELS
from tests.system.harness.process import PATIENCE
from tests.system.harness.svcproxy import Svcproxy

Event = tuple[str, str, str]


@pytest.fixture
async def client(tmp_path: Path, standalone: Svcproxy) -> AsyncIterator[ApiClient]:
    async with await new_client_from_config(str(tmp_path / "state" / "kubeconfig")) as client:
        yield client


@pytest.fixture
def core(client: ApiClient) -> CoreV1Api:
    return CoreV1Api(client)


def a_service(name: str, **spec: Any) -> V1Service:
    ports = [V1ServicePort(name="http", port=8000, target_port="http")]
    return V1Service(metadata=V1ObjectMeta(name=name), spec=V1ServiceSpec(selector=LABELS, **{"ports": ports, **spec}))


def status_of(refusal: ApiException) -> Any:
    """The Status in the body of a refusal."""
    assert refusal.body
    return json.loads(refusal.body)


async def settled(look: Callable[[], object], what: str) -> None:
    """`eventually`, while the client's loop runs on."""
    await asyncio.to_thread(eventually, look, what)


async def test_what_is_created_is_listed_as_typed_models_and_served(
    core: CoreV1Api, client: ApiClient, standalone: Svcproxy
) -> None:
    created = await core.create_namespaced_service("default", a_service("web"))
    assert (created.spec.type, created.spec.session_affinity) == ("ClusterIP", "None")
    assert created.metadata.creation_timestamp.tzinfo is not None
    untyped: Any = pod("web-a", "127.0.0.1", {"http": 8080}, LABELS)
    await core.create_namespaced_pod("default", untyped)
    listed = await core.list_namespaced_service("default", label_selector="!nothing")
    assert [each.metadata.name for each in listed.items] == ["web"]
    assert listed.items[0].spec.ports[0].target_port == "http"
    assert int(listed.metadata.resource_version) >= int(created.metadata.resource_version)
    (slice_,) = (await DiscoveryV1Api(client).list_namespaced_endpoint_slice("default")).items
    assert slice_.metadata.owner_references[0].name == "web"
    assert [each.addresses for each in slice_.endpoints] == [["127.0.0.1"]]
    address = created.spec.cluster_ip
    await settled(lambda: held_frontends(standalone, "web") == {(address, 8000)}, "the ClusterIP listens")
    await core.delete_namespaced_service("web", "default")
    await settled(lambda: not held_services(standalone), "the Service is gone")
    assert is_refused(address, 8000)


@pytest.mark.parametrize(
    ("content_type", "patch"),
    [
        ("application/strategic-merge-patch+json", {"spec": {"sessionAffinity": "ClientIP"}}),
        ("application/merge-patch+json", {"spec": {"sessionAffinity": "ClientIP"}}),
        ("application/json-patch+json", [{"op": "replace", "path": "/spec/sessionAffinity", "value": "ClientIP"}]),
    ],
)
async def test_each_kind_of_patch_switches_affinity(
    core: Any, standalone: Svcproxy, content_type: str, patch: object
) -> None:
    await core.create_namespaced_service("default", a_service("web"))
    patched = await core.patch_namespaced_service("web", "default", patch, _content_type=content_type)
    assert patched.spec.session_affinity == "ClientIP"
    assert patched.spec.session_affinity_config.client_ip.timeout_seconds == 10800
    await settled(lambda: held_pool_settings(standalone, "web") == [("rr", 10800)], "affinity at the data plane")


async def test_its_watch_sees_typed_events_from_the_version_of_a_list(core: CoreV1Api) -> None:
    await core.create_namespaced_service("default", a_service("old"))
    version = (await core.list_namespaced_service("default")).metadata.resource_version
    await core.create_namespaced_service("default", a_service("new"))
    await core.patch_namespaced_service("new", "default", {"metadata": {"labels": {"team": "shop"}}})
    await core.delete_namespaced_service("old", "default")
    seen: list[Event] = []
    async with Watch() as watch, asyncio.timeout(PATIENCE):
        async for event in watch.stream(core.list_namespaced_service, "default", resource_version=version):
            service: V1Service = event["object"]
            seen.append((event["type"], service.metadata.name, service.spec.type))
            if event["type"] == "DELETED":
                break
    expected = [("ADDED", "new"), ("MODIFIED", "new"), ("DELETED", "old")]
    assert seen == [(kind, name, "ClusterIP") for kind, name in expected]


async def test_a_stale_version_is_a_conflict_and_the_newer_one_stands(core: CoreV1Api) -> None:
    stale = await core.create_namespaced_service("default", a_service("web"))
    await core.patch_namespaced_service("web", "default", {"metadata": {"labels": {"team": "shop"}}})
    stale.spec.session_affinity = "ClientIP"
    with pytest.raises(ApiException) as refusal:
        await core.replace_namespaced_service("web", "default", stale)
    assert (refusal.value.status, refusal.value.reason) == (409, "Conflict")
    assert "the object has been modified" in status_of(refusal.value)["message"]
    current = await core.read_namespaced_service("web", "default")
    assert (current.spec.session_affinity, current.metadata.labels) == ("None", {"team": "shop"})


async def test_an_invalid_service_is_422_with_a_cause_for_each_mistake(core: CoreV1Api) -> None:
    ports = [V1ServicePort(port=70000, target_port=8080), V1ServicePort(name="UPPER", port=80)]
    with pytest.raises(ApiException) as refusal:
        await core.create_namespaced_service("default", a_service("web", ports=ports))
    status = status_of(refusal.value)
    assert (refusal.value.status, status["kind"], status["reason"]) == (422, "Status", "Invalid")
    causes = {cause["field"]: cause["reason"] for cause in status["details"]["causes"]}
    assert causes == {
        "spec.ports[0].name": "FieldValueRequired",
        "spec.ports[0].port": "FieldValueInvalid",
        "spec.ports[1].name": "FieldValueInvalid",
    }
    assert (await core.list_namespaced_service("default")).items == []


async def test_what_exists_is_409_and_what_does_not_is_404(core: CoreV1Api) -> None:
    await core.create_namespaced_service("default", a_service("web"))
    with pytest.raises(ApiException) as refusal:
        await core.create_namespaced_service("default", a_service("web"))
    assert (refusal.value.status, status_of(refusal.value)["reason"]) == (409, "AlreadyExists")
    with pytest.raises(ApiException) as refusal:
        await core.read_namespaced_service("other", "default")
    assert (refusal.value.status, status_of(refusal.value)["reason"]) == (404, "NotFound")
