"""The Kubernetes source against the embedded API, with kubernetes_asyncio as the one who changes things.

The sum of all changes equals what the API lists, through a restart of the API on its stored state as well.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from kubernetes_asyncio.client import ApiClient, CoreV1Api, DiscoveryV1Api
from kubernetes_asyncio.config import new_client_from_config

from proxy.apiserver.embedded_api import EmbeddedAPI, embedded_api
from proxy.cluster.cluster import ClusterSettings
from proxy.model.changes import Changes, ObjectKey
from proxy.sources.kubernetes import KubernetesSource
from proxy.sources.kubernetes_api.connection import Connection
from proxy.sources.kubernetes_api.credentials import Kubeconfig
from proxy.sources.kubernetes_api.known_state import KnownStateFile
from proxy.sources.kubernetes_api.resource import Scope
from proxy.sources.kubernetes_api.timing import Timing

BOUND_SECONDS = 30
QUICK = Timing(first_delay=0.01, longest_delay=0.05)
Versions = dict[ObjectKey, str]


class Followed:
    """A running source, and the versions of the objects that its changes add up to."""

    def __init__(self, source: KubernetesSource) -> None:
        self.services: Versions = {}
        self.slices: Versions = {}
        self.problems: tuple[object, ...] = ()
        self._changes = source.changes()

    async def until(self, reached: Callable[["Followed"], bool]) -> None:
        async with asyncio.timeout(BOUND_SECONDS):
            while not reached(self):
                self._add(await anext(self._changes))

    def _add(self, changes: Changes) -> None:
        for key in changes.removed_services:
            self.services.pop(key, None)
        for key in changes.removed_slices:
            self.slices.pop(key, None)
        self.services |= {each.key: each.metadata.resource_version for each in changes.services}
        self.slices |= {each.key: each.metadata.resource_version for each in changes.slices}
        if changes.problems is not None:
            self.problems = changes.problems

    async def close(self) -> None:
        await self._changes.aclose()


@asynccontextmanager
async def running_api(directory: Path, port: int = 0) -> AsyncIterator[EmbeddedAPI]:
    address = ("127.0.0.1", port)
    async with embedded_api(str(directory), address, ClusterSettings(), lambda _: None, Random(1)) as api:
        yield api


@asynccontextmanager
async def client_of(api: EmbeddedAPI) -> AsyncIterator[ApiClient]:
    async with await new_client_from_config(api.kubeconfig) as client:
        yield client


@asynccontextmanager
async def following(api: EmbeddedAPI, directory: Path) -> AsyncIterator[Followed]:
    loop = asyncio.get_running_loop()
    connection = Connection(Kubeconfig(api.kubeconfig), loop.time, QUICK.credentials)
    known_state = KnownStateFile(str(directory), ("embedded",))
    followed = Followed(KubernetesSource(connection, Scope("node"), known_state, QUICK, Random(1)))
    try:
        yield followed
    finally:
        await followed.close()


def service(name: str) -> Any:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"ports": [{"port": 80}]},
    }


def endpoint_slice(name: str, owner: str) -> Any:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": owner}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.0.1"]}],
        "ports": [{"name": "", "port": 8080}],
    }


async def listed(client: ApiClient) -> tuple[Versions, Versions]:
    services = await CoreV1Api(client).list_service_for_all_namespaces()
    slices = await DiscoveryV1Api(client).list_endpoint_slice_for_all_namespaces()
    return _versions(services), _versions(slices)


def _versions(found: Any) -> Versions:
    metadata = [item.metadata for item in found.items]
    return {(each.namespace, each.name): each.resource_version for each in metadata}


async def test_what_is_followed_is_what_the_api_lists(tmp_path: Path) -> None:
    async with (
        running_api(tmp_path / "api") as api,
        client_of(api) as client,
        following(api, tmp_path / "proxy") as followed,
    ):
        core, discovery = CoreV1Api(client), DiscoveryV1Api(client)
        await core.create_namespaced_service("default", service("before"))
        await followed.until(lambda each: ("default", "before") in each.services)
        await core.create_namespaced_service("default", service("web"))
        await discovery.create_namespaced_endpoint_slice("default", endpoint_slice("web-1", "web"))
        await core.patch_namespaced_service("web", "default", {"spec": {"sessionAffinity": "ClientIP"}})
        await core.delete_namespaced_service("before", "default")
        services, slices = await listed(client)
        assert ("default", "web") in services
        await followed.until(lambda each: (each.services, each.slices) == (services, slices))
        assert followed.problems == ()


async def test_a_restart_of_the_api_is_followed_through(tmp_path: Path) -> None:
    async with AsyncExitStack() as apis:
        api = await apis.enter_async_context(running_api(tmp_path / "api"))
        async with following(api, tmp_path / "proxy") as followed:
            async with client_of(api) as client:
                await CoreV1Api(client).create_namespaced_service("default", service("before"))
            await followed.until(lambda each: ("default", "before") in each.services)
            await apis.aclose()
            api = await apis.enter_async_context(running_api(tmp_path / "api", int(api.url.rpartition(":")[2])))
            async with client_of(api) as client:
                await CoreV1Api(client).delete_namespaced_service("before", "default")
                await CoreV1Api(client).create_namespaced_service("default", service("after"))
                services, slices = await listed(client)
            await followed.until(lambda each: (each.services, each.slices) == (services, slices))
            assert ("default", "before") not in followed.services
