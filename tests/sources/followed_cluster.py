"""A Kubernetes source that runs against the fake API server, and what all its changes add up to.

Every wait has a bound and ends with what it waits for.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from proxy.model.changes import Changes, ObjectKey
from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.service import Service
from proxy.sources.kubernetes import KubernetesSource
from proxy.sources.kubernetes_api.connection import Connection
from proxy.sources.kubernetes_api.credentials import Kubeconfig
from proxy.sources.kubernetes_api.known_state import KnownStateFile
from proxy.sources.kubernetes_api.resource import Scope
from proxy.sources.kubernetes_api.timing import Timing
from tests.sources.fake_api import FakeAPI, Object

BOUND_SECONDS = 20
QUICK = Timing(first_delay=0.01, longest_delay=0.05, page_size=3, first_save=0.0, save_interval=0.01)
SERVICE = "services"
SLICE = "endpointslices"
SCOPE = Scope(node_name="node-1")


class Followed:
    """A running source, and what all its changes so far add up to."""

    def __init__(self, source: KubernetesSource) -> None:
        self.source = source
        self.services: dict[ObjectKey, Service] = {}
        self.slices: dict[ObjectKey, EndpointSlice] = {}
        self.weights: dict[ObjectKey, int] = {}
        self.problems: list[str] = []
        self.zone = ""
        self.known_state_of = ""
        self._changes = source.changes()

    @property
    def state(self) -> tuple[object, ...]:
        return self.services, self.slices, self.weights, self.zone

    async def next(self) -> Changes:
        async with asyncio.timeout(BOUND_SECONDS):
            changes = await anext(self._changes)
        for key in changes.removed_services:
            self.services.pop(key, None)
        for key in changes.removed_slices:
            self.slices.pop(key, None)
        self.services |= {each.key: each for each in changes.services}
        self.slices |= {each.key: each for each in changes.slices}
        for weight in changes.pod_weights:
            self.weights.pop((weight.namespace, weight.name), None)
            if weight.weight is not None:
                self.weights[weight.namespace, weight.name] = weight.weight
        if changes.node is not None:
            self.zone = changes.node.zone
        if changes.problems is not None:
            self.problems = [str(problem) for problem in changes.problems]
        if changes.known_state_of is not None:
            self.known_state_of = changes.known_state_of
        return changes

    async def until(self, reached: Callable[["Followed"], bool]) -> None:
        for _ in range(200):
            if reached(self):
                return
            await self.next()
        raise AssertionError(f"never reached: {self.state} {self.problems}")

    async def until_known(self, *names: str) -> None:
        await self.until(lambda followed: {name for _, name in followed.services} >= set(names))

    async def close(self) -> None:
        assert isinstance(self._changes, AsyncGenerator)
        await self._changes.aclose()


@asynccontextmanager
async def following(
    kubeconfig: Path, state: Path | None = None, *, scope: Scope = SCOPE, timing: Timing = QUICK
) -> AsyncIterator[Followed]:
    loop = asyncio.get_running_loop()
    directory = state or kubeconfig.parent / "no-state"
    connection = Connection(Kubeconfig(str(kubeconfig)), loop.time, timing.credentials)
    known_state = KnownStateFile(str(directory), (str(kubeconfig), scope.namespace, scope.proxy_name))
    followed = Followed(KubernetesSource(connection, scope, known_state, timing, Random(1)))
    try:
        yield followed
    finally:
        await followed.close()


async def first_state(kubeconfig: Path) -> tuple[object, ...]:
    """What a source that starts now knows, with its node and weights."""
    async with following(kubeconfig) as fresh:
        await fresh.until(lambda each: bool(each.zone and each.weights))
        return fresh.state


def service(name: str, **spec: object) -> Object:
    return {
        "metadata": {"namespace": "default", "name": name, "uid": f"uid-{name}", "creationTimestamp": None},
        "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80, "targetPort": "http"}], **spec},
        "status": {"loadBalancer": {}},
    }


def endpoint_slice(name: str, owner: str, endpoints: int = 1) -> Object:
    return {
        "metadata": {"namespace": "default", "name": name, "labels": {"kubernetes.io/service-name": owner}},
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": [f"10.1.{index // 250}.{index % 250 + 1}"], "conditions": {"ready": True}}
            for index in range(endpoints)
        ]
        or None,
        "ports": [{"name": "", "port": 8080}],
    }


def pod(name: str, weight: str) -> Object:
    return {"metadata": {"namespace": "default", "name": name, "labels": {"svcproxy.io/weight": weight}}}


def fill(api: FakeAPI) -> None:
    """Four Services, a slice each, a weighted Pod and the node that is followed."""
    for index in range(4):
        api.put(SERVICE, service(f"web-{index}"))
        api.put(SLICE, endpoint_slice(f"web-{index}-abc", f"web-{index}", index))
    api.put("pods", pod("weighted", "3"))
    node = {"metadata": {"name": "node-1", "labels": {"topology.kubernetes.io/zone": "zone-a"}}}
    api.put("nodes", node)


async def assert_converges(followed: Followed, api: FakeAPI, kubeconfig: Path) -> None:
    """Whatever went wrong: one more change of each kind arrives, and then the state is what a fresh list gives."""
    last = api.put(SERVICE, service("last"))["metadata"]["resourceVersion"]
    slice_version = api.put(SLICE, endpoint_slice("last-slice", "last", 2))["metadata"]["resourceVersion"]
    key, slice_key = ("default", "last"), ("default", "last-slice")
    await followed.until(
        lambda each: (
            key in each.services
            and each.services[key].metadata.resource_version == last
            and slice_key in each.slices
            and each.slices[slice_key].metadata.resource_version == slice_version
            and bool(each.zone and each.weights)
        )
    )
    assert followed.state == await first_state(kubeconfig)


async def watching(followed: Followed, api: FakeAPI) -> None:
    """Follow until the first state is known and everything is being watched."""
    await followed.until_known("web-0", "web-1", "web-2", "web-3")
    async with asyncio.timeout(BOUND_SECONDS):
        await api.watched(SERVICE, SLICE, "pods", "nodes")
