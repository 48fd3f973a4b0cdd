"""The API as a whole over restarts, and with kubernetes_asyncio as its client."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from kubernetes_asyncio import client, config, watch

from proxy.apiserver.document import Stored
from proxy.apiserver.embedded_api import EmbeddedAPI, embedded_api
from proxy.apiserver.kinds import ENDPOINT_SLICES, ENDPOINTS, PODS, SERVICES
from proxy.apiserver.storage.database import Database
from proxy.apiserver.writes.options import DeleteOptions, WriteOptions
from proxy.cluster.cluster import ClusterSettings
from proxy.model.changes import Changes
from proxy.model.endpoint_slice import EndpointConditions
from proxy.startup_error import StartupError

OPTIONS = WriteOptions()


def service(name: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": [{"port": 80}], **spec}}


def pod(name: str, app: str, address: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"app": app}}, "status": {"podIP": address}}


def ready_since(moment: str) -> dict[str, Any]:
    made = pod("a", "web", "10.1.0.1")
    made["status"]["conditions"] = [{"type": "Ready", "status": "True", "lastTransitionTime": moment}]
    return made


@contextlib.asynccontextmanager
async def running(directory: Path, told: list[Changes], cidr: str = "10.0.0.0/24") -> AsyncIterator[EmbeddedAPI]:
    settings = ClusterSettings(service_ranges=(cidr,), node_name="here")
    async with embedded_api(str(directory), ("127.0.0.1", 0), settings, told.append, Random(1)) as api:
        yield api


def stored(api: EmbeddedAPI) -> dict[str, list[Stored]]:
    return {
        kind.plural: list(api.store.objects(kind).values()) for kind in (SERVICES, PODS, ENDPOINTS, ENDPOINT_SLICES)
    }


async def test_a_restart_changes_nothing_and_tells_everything(tmp_path: Path) -> None:
    told: list[Changes] = []
    async with running(tmp_path, told) as api:
        await api.operations.create(SERVICES, "default", service("web", type="NodePort"), OPTIONS)
        await api.operations.create(PODS, "default", ready_since("2036-03-01T00:00:05Z"), OPTIONS)
        before, version = stored(api), api.store.version
    again: list[Changes] = []
    async with running(tmp_path, again) as api:
        assert (stored(api), api.store.version) == (before, version)
    assert len(again) == 1
    assert [each.key for each in again[0].services] == [("default", "web")]
    assert again[0].slices[0].endpoints[0].addresses == ("10.1.0.1",)


async def test_made_objects_that_are_out_of_date_at_a_start_are_put_right(tmp_path: Path) -> None:
    async with running(tmp_path, []) as api:
        await api.operations.create(SERVICES, "default", service("web"), OPTIONS)
        await api.operations.create(PODS, "default", pod("a", "web", "10.1.0.1"), OPTIONS)
        expected = {each.key for each in stored(api)["endpointslices"]}
    with contextlib.closing(Database(str(tmp_path / "objects.sqlite"))) as database:
        database._connection.execute("UPDATE object SET name = 'web-stale' WHERE resource LIKE 'endpointslices%'")
        rows = database._connection.execute("SELECT document FROM object WHERE name = 'web-stale'").fetchall()
        (name,) = (key[1] for key in expected)
        document = bytes(rows[0][0]).replace(name.encode(), b"web-stale")
        database._connection.execute("UPDATE object SET document = ? WHERE name = 'web-stale'", (document,))
    async with running(tmp_path, []) as api:
        assert {each.key for each in stored(api)["endpointslices"]} == expected


async def test_a_service_whose_address_is_no_longer_in_the_range_is_kept_and_reported(tmp_path: Path) -> None:
    async with running(tmp_path, []) as api:
        await api.operations.create(SERVICES, "default", service("web"), OPTIONS)
    told: list[Changes] = []
    async with running(tmp_path, told, cidr="10.9.0.0/24") as api:
        assert api.store.get(SERVICES, ("default", "web")) is not None
    assert told[0].services == ()
    assert told[0].problems is not None
    assert "does not match the current range" in str(told[0].problems[0])


async def test_a_database_of_a_newer_release_is_left_alone(tmp_path: Path) -> None:
    with contextlib.closing(Database(str(tmp_path / "objects.sqlite"))) as database:
        database._connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StartupError, match="has version 99"):
        Database(str(tmp_path / "objects.sqlite"))


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "objects.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StartupError, match=r"objects.sqlite: is damaged \(file is not a database\)"):
        async with running(tmp_path, []):
            pass


def _model(document: dict[str, Any]) -> client.V1Service:
    spec = client.V1ServiceSpec(
        selector=document["spec"]["selector"],
        ports=[client.V1ServicePort(**port) for port in document["spec"]["ports"]],
    )
    return client.V1Service(metadata=client.V1ObjectMeta(name=document["metadata"]["name"]), spec=spec)


async def test_kubernetes_asyncio_lists_watches_and_patches(tmp_path: Path) -> None:
    async with running(tmp_path, []) as api:
        configuration = client.Configuration()
        await config.load_kube_config(config_file=api.kubeconfig, client_configuration=configuration)
        async with client.ApiClient(configuration) as connection:
            core, discovery = client.CoreV1Api(connection), client.DiscoveryV1Api(connection)
            created = await core.create_namespaced_service("default", _model(service("web")))
            assert created.spec.cluster_ip.startswith("10.0.0.")
            listed = await core.list_service_for_all_namespaces()
            assert [item.metadata.name for item in listed.items] == ["web"]
            body = {"spec": {"sessionAffinity": "ClientIP"}}
            patched = await core.patch_namespaced_service("web", "default", body)
            assert patched.spec.session_affinity_config.client_ip.timeout_seconds == 10800
            stream = watch.Watch().stream(
                core.list_service_for_all_namespaces,
                resource_version=listed.metadata.resource_version,
                timeout_seconds=1,
            )
            events = [(event["type"], event["object"].spec.session_affinity) async for event in stream]
            assert events == [("MODIFIED", "ClientIP")]
            slices = await discovery.list_namespaced_endpoint_slice("default")
            assert [item.address_type for item in slices.items] == ["IPv4"]
            with pytest.raises(client.ApiException) as refused:
                await core.read_namespaced_service("none", "default")
            assert refused.value.status == 404


def running_pod(name: str, grace: int) -> dict[str, Any]:
    """One that runs on a node."""
    made = pod(name, "web", "10.1.0.1")
    return made | {"spec": {"nodeName": "here", "terminationGracePeriodSeconds": grace}}


async def gone(api: EmbeddedAPI, name: str) -> None:
    with api.store.watching(PODS, "default") as watcher:
        while api.store.get(PODS, ("default", name)) is not None:
            await asyncio.wait_for(watcher.next_events(), 20)


async def test_a_deleted_pod_terminates_for_its_grace_and_then_goes(tmp_path: Path) -> None:
    told: list[Changes] = []
    async with running(tmp_path, told) as api:
        await api.operations.create(SERVICES, "default", service("web", selector={"app": "web"}), OPTIONS)
        await api.operations.create(PODS, "default", running_pod("a", 2), OPTIONS)
        written = await api.operations.delete(PODS, ("default", "a"), DeleteOptions())
        assert written.document["metadata"]["deletionGracePeriodSeconds"] == 2
        (endpoint,) = told[-1].slices[0].endpoints
        assert endpoint.conditions == EndpointConditions(ready=False, serving=True, terminating=True)
        await gone(api, "a")
        assert told[-1].slices[0].endpoints == ()


async def test_a_terminating_pod_can_be_hurried(tmp_path: Path) -> None:
    async with running(tmp_path, []) as api:
        await api.operations.create(PODS, "default", running_pod("a", 3600), OPTIONS)
        await api.operations.delete(PODS, ("default", "a"), DeleteOptions())
        again = await api.operations.delete(PODS, ("default", "a"), DeleteOptions())
        assert again.document["metadata"]["deletionGracePeriodSeconds"] == 3600
        await api.operations.delete_all(PODS, "default", lambda _: True, DeleteOptions(grace_seconds=0))
        assert api.store.get(PODS, ("default", "a")) is None


async def test_grace_that_ended_while_the_api_was_away_is_over(tmp_path: Path) -> None:
    async with running(tmp_path, []) as api:
        await api.operations.create(PODS, "default", running_pod("a", 1), OPTIONS)
        await api.operations.delete(PODS, ("default", "a"), DeleteOptions())
    async with running(tmp_path, []) as api:
        await gone(api, "a")
