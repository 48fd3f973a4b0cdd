"""From the API to the plan: whatever clients change, the plan that follows is the one made afresh of what is left.

Requests and watches go over TLS on loopback. All is known to have arrived when one mark of each kind has: the events of
a watch come in order.
"""

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import aiohttp
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from proxy.apiserver.embedded_api import embedded_api
from proxy.cluster.cluster import ClusterSettings
from proxy.model.changes import Changes, PodWeight
from proxy.model.decoding import decode
from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.node import Node
from proxy.model.pod import Pod
from proxy.model.pod_weight import WEIGHT_LABEL, pod_weight
from proxy.model.service import Service
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool
from proxy.plan.planner import Planner
from proxy.plan.settings import PlanSettings
from proxy.sources.kubernetes import KubernetesSource
from proxy.sources.kubernetes_api.connection import Connection
from proxy.sources.kubernetes_api.credentials import Kubeconfig
from proxy.sources.kubernetes_api.known_state import KnownStateFile
from proxy.sources.kubernetes_api.resource import Scope
from proxy.sources.kubernetes_api.timing import Timing
from proxy.sources.source import Source
from proxy.sources.standalone import StandaloneSource

BOUND_SECONDS = 30
QUICK = Timing(first_delay=0.001, longest_delay=0.01)
CLUSTER = ClusterSettings(("10.96.0.0/24", "fd00:96::/112"), node_port_range=(30000, 30009), node_name="here")
PLAN = PlanSettings(node_name="here", schedulers=("rr", "wrr"))
NAMES = ("a", "b", "c")
SERVICES = "/api/v1/namespaces/default/services"
PODS = "/api/v1/namespaces/default/pods"
ENDPOINTS = "/api/v1/namespaces/default/endpoints"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
NODES = "/api/v1/nodes"
API_VERSIONS = {SLICES: ("discovery.k8s.io/v1", "EndpointSlice"), SERVICES: ("v1", "Service"), PODS: ("v1", "Pod")}
API_VERSIONS |= {ENDPOINTS: ("v1", "Endpoints"), NODES: ("v1", "Node")}
Document = dict[str, Any]


class Step(NamedTuple):
    """What a client does with one object: apply `document` and then `status`, or delete it without a document.

    Without a path the proxy loses its watches, or with the name "reread" is told to list everything again.
    """

    path: str
    name: str
    document: Document | None = None
    status: Document | None = None


def optional(key: str, *values: Any) -> st.SearchStrategy[Document]:
    """One member of an object, or none."""
    return st.sampled_from([{}, *({key: value} for value in values)])


def joined(*parts: st.SearchStrategy[Document]) -> st.SearchStrategy[Document]:
    return st.tuples(*parts).map(lambda found: {key: value for part in found for key, value in part.items()})


@st.composite
def services(draw: st.DrawFn, names: tuple[str, ...] = NAMES) -> Step:
    name = draw(st.sampled_from(names))
    host = NAMES.index(name) + 1
    second = {"name": "two", "port": 53, "protocol": "UDP", "targetPort": draw(st.sampled_from([53, "dns"]))}
    kind = draw(st.sampled_from(["ClusterIP", "NodePort", "NodePort", "LoadBalancer", "ExternalName"]))
    own: Document = {
        "type": kind,
        "ports": [{"name": "one", "port": draw(st.sampled_from([80, 81])), "targetPort": 8080}, second][
            : draw(st.integers(1, 2))
        ],
    }
    if kind == "ExternalName":
        own["externalName"] = "elsewhere.example"
    elif kind != "ClusterIP":
        own |= draw(optional("externalTrafficPolicy", "Local"))
    else:
        own |= draw(st.sampled_from([{}, {}, {}, {"clusterIP": "None"}]))
    spec = draw(
        joined(
            st.just(own),
            optional("selector", {"app": "x"}, {"app": "x"}, {"app": "y"}),
            optional("externalIPs", [f"192.0.2.{host}"]),
            optional("sessionAffinity", "ClientIP"),
            optional("internalTrafficPolicy", "Local"),
            optional("publishNotReadyAddresses", True),
            optional("ipFamilyPolicy", "PreferDualStack"),
            optional("trafficDistribution", "PreferClose", "PreferClose"),
        )
    )
    labels = draw(st.sampled_from([{}, {}, {}, {"service.kubernetes.io/service-proxy-name": "other"}]))
    annotations = draw(optional("svcproxy.io/scheduler", "wrr", "unknown"))
    ingress = draw(st.sampled_from([[], [{"ip": f"198.51.100.{host}"}]]))
    status = {"loadBalancer": {"ingress": ingress}} if kind == "LoadBalancer" else None
    return Step(SERVICES, name, {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec}, status)


@st.composite
def pods(draw: st.DrawFn, numbers: tuple[int, ...] = (1, 2, 3)) -> Step:
    number = draw(st.sampled_from(numbers))
    labels = {**draw(optional("app", "x", "x", "y")), **draw(optional(WEIGHT_LABEL, "0", "2"))}
    metadata = {"labels": labels, "finalizers": draw(st.sampled_from([[], [], ["example.com/kept"]]))}
    container = {"name": "main", "image": "none", "ports": [{"name": "dns", "containerPort": 5300, "protocol": "UDP"}]}
    spec = {"nodeName": "here" if number == 1 else "there", "containers": [container]}
    ready = draw(st.sampled_from(["True", "True", "False"]))
    ips = [{"ip": f"10.1.0.{number}"}, {"ip": f"fd00:1::{number}"}][: draw(st.integers(1, 2))]
    status = {
        "phase": draw(st.sampled_from(["Running", "Running", "Running", "Succeeded"])),
        "podIP": ips[0]["ip"],
        "podIPs": ips,
        "conditions": [{"type": "Ready", "status": ready}],
    }
    return Step(PODS, f"p{number}", {"metadata": metadata, "spec": spec}, status)


@st.composite
def slices(draw: st.DrawFn) -> Step:
    # A zone's hints count only if no endpoint is without.
    hints = [{"hints": {"forZones": [{"name": zone}]}} for zone in ("east", "west")]
    endpoint = joined(
        st.sampled_from(draw(st.sampled_from([hints, hints, [{}]]))),
        st.integers(1, 4).map(lambda host: {"addresses": [f"10.2.0.{host}"]}),
        optional("nodeName", "here", "there"),
        optional(
            "conditions", {"ready": True}, {"ready": False}, {"ready": False, "serving": True, "terminating": True}
        ),
        optional("targetRef", {"kind": "Pod", "name": "p1", "namespace": "default"}),
    )
    document = {
        "metadata": {"labels": draw(optional("kubernetes.io/service-name", *NAMES, *NAMES))},
        "addressType": "IPv4",
        "endpoints": draw(st.lists(endpoint, max_size=3)),
        "ports": [{"name": "one", "protocol": "TCP", "port": draw(st.sampled_from([8080, 8081]))}],
    }
    return Step(SLICES, draw(st.sampled_from(["s", "t"])), document)


@st.composite
def endpoints(draw: st.DrawFn) -> Step:
    hosts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True))
    addresses = [{"ip": f"10.3.0.{host}"} for host in hosts]
    subset = {"addresses": addresses, "ports": [{"name": "one", "port": draw(st.sampled_from([8080, 8082]))}]}
    return Step(ENDPOINTS, draw(st.sampled_from(NAMES)), {"metadata": {}, "subsets": [subset]})


def nodes() -> st.SearchStrategy[Step]:
    zones = optional("topology.kubernetes.io/zone", "east", "west")
    named = st.sampled_from(["here", "here", "there"])
    return st.builds(lambda name, labels: Step(NODES, name, {"metadata": {"labels": labels}}), named, zones)


PUTS = st.one_of(services(), pods(), services(), pods(), slices(), endpoints(), nodes())
DELETIONS = PUTS.map(lambda step: Step(step.path, step.name))
STEPS = st.one_of(PUTS, PUTS, PUTS, nodes(), DELETIONS, st.sampled_from([Step("", "disconnect"), Step("", "reread")]))
# Much of everything is there at first, so that most later steps touch something that serves.
BEGINNING = st.tuples(*(services((name,)) for name in NAMES), *(pods((number,)) for number in (1, 2, 3)), slices())
ROUNDS = st.lists(st.lists(STEPS, min_size=3, max_size=6), min_size=2, max_size=4)
CASES = st.builds(lambda beginning, rounds: [list(beginning), *rounds], BEGINNING, ROUNDS)


class Client:
    """Changes and lists objects, as the kubeconfig of the API says."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def do(self, step: Step) -> None:
        """One step; that the API may refuse it, or have nothing to delete, is part of the game."""
        path = f"{step.path}/{step.name}"
        if step.document is None:
            await self._request("DELETE", path)
            return
        version, kind = API_VERSIONS[step.path]
        metadata = {**step.document["metadata"], "name": step.name}
        body = {"apiVersion": version, "kind": kind, **step.document, "metadata": metadata}
        await self._request("PATCH", f"{path}?fieldManager=test&force=true", "apply-patch+yaml", body)
        if step.status is not None:
            await self._request("PATCH", f"{path}/status", "merge-patch+json", {"status": step.status})

    async def listed(self, path: str) -> list[Any]:
        """Every object there, read by the model."""
        found = await self._request("GET", path)
        version, kind = API_VERSIONS[path]
        return [decode({"apiVersion": version, "kind": kind, **item}) for item in found["items"]]

    async def _request(self, method: str, path: str, content: str = "json", body: Document | None = None) -> Any:
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": f"application/{content}"}
        async with self._session.request(method, path, data=data, headers=headers) as response:
            assert response.status in (200, 201, 404, 409, 422), await response.text()
            return await response.json()


@asynccontextmanager
async def client_of(kubeconfig: Path) -> AsyncIterator[Client]:
    config = json.loads(await asyncio.to_thread(kubeconfig.read_text))
    cluster = config["clusters"][0]["cluster"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cadata=authority))
    headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}"}
    async with aiohttp.ClientSession(cluster["server"], connector=connector, headers=headers) as session:
        yield Client(session)


class Followed:
    """The plan that follows a source, the sum of its deltas, and the marks that came by."""

    def __init__(self, source: Source) -> None:
        self.planner = Planner(PLAN)
        self.pools: dict[str, Pool] = {}
        self.frontends: dict[FrontendKey, Frontend] = {}
        self._source = source
        self._marks: set[tuple[str, int]] = set()
        self._first = asyncio.Event()
        self._news = asyncio.Event()

    async def run(self) -> None:
        async with aclosing(self._source.changes()) as batches:
            async for changes in batches:
                self._sum_up(self.planner.apply(changes))
                self._look_for_marks(changes)
                self._first.set()
                self._news.set()

    async def begun(self) -> None:
        """Until the first state is there."""
        async with asyncio.timeout(BOUND_SECONDS):
            await self._first.wait()

    async def marked(self, number: int) -> None:
        """Until all that was changed before these marks were set is in the plan."""
        wanted = {(kind, number) for kind in ("Service", "EndpointSlice", "Pod", "Node")}
        async with asyncio.timeout(BOUND_SECONDS):
            while not wanted <= self._marks:
                self._news.clear()
                await self._news.wait()

    def _look_for_marks(self, changes: Changes) -> None:
        labelled: list[Service | EndpointSlice | Node] = [
            *changes.services,
            *changes.slices,
            *filter(None, [changes.node]),
        ]
        self._marks |= {
            (type(each).__name__, int(each.metadata.labels["mark"]))
            for each in labelled
            if "mark" in each.metadata.labels
        }
        self._marks |= {("Pod", each.weight) for each in changes.pod_weights if each.name == "mark" and each.weight}

    def _sum_up(self, delta: Delta) -> None:
        self.pools.update((each.key, each) for each in delta.pools)
        self.frontends.update((each.key, each) for each in delta.frontends)
        for frontend_key in delta.removed_frontends:
            del self.frontends[frontend_key]
        for pool_key in delta.removed_pools:
            del self.pools[pool_key]
        assert all(each.pool in self.pools for each in self.frontends.values())


async def set_marks(client: Client, number: int) -> None:
    """One change of each kind that is followed; the own Node keeps its zone, as another manager set it."""
    labels = {"mark": str(number)}
    ports = [{"port": 80}]
    await client.do(Step(SERVICES, "mark", {"metadata": {"labels": labels}, "spec": {"ports": ports}}))
    await client.do(Step(SLICES, "mark", {"metadata": {"labels": labels}, "addressType": "IPv4", "endpoints": []}))
    await client.do(Step(PODS, "mark", {"metadata": {"labels": {WEIGHT_LABEL: str(number)}}}))
    (zone,) = {each.zone for each in await client.listed(NODES) if each.metadata.name == "here"} or {""}
    kept = {"topology.kubernetes.io/zone": zone} if zone else {}
    await client.do(Step(NODES, "here", {"metadata": {"labels": {**labels, **kept}}}))


async def planned_afresh(client: Client) -> Planner:
    """The plan of everything that the API lists now."""
    own: list[Service] = await client.listed(SERVICES)
    behind: list[EndpointSlice] = await client.listed(SLICES)
    running: list[Pod] = await client.listed(PODS)
    machines: list[Node] = await client.listed(NODES)
    planner = Planner(PLAN)
    planner.apply(
        Changes(
            services=tuple(own),
            slices=tuple(behind),
            pod_weights=tuple(PodWeight(*each.key, pod_weight(each.metadata.labels)) for each in running),
            node=next((each for each in machines if each.metadata.name == "here"), None),
        )
    )
    return planner


async def play(
    rounds: list[list[Step]], followed: Followed, client: Client, without_object: Callable[[str], None]
) -> None:
    """Change things and, after every round, compare."""
    for number, steps in enumerate(rounds, 1):
        for step in steps:
            if step.path:
                await client.do(step)
            else:
                without_object(step.name)
        await set_marks(client, number)
        await followed.marked(number)
        afresh = await planned_afresh(client)
        assert followed.planner.pools == followed.pools == afresh.pools
        assert followed.planner.frontends == followed.frontends == afresh.frontends
        assert followed.planner.problems() == afresh.problems()


@asynccontextmanager
async def following(source: Source) -> AsyncIterator[Followed]:
    followed = Followed(source)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(followed.run())
        await followed.begun()
        yield followed
        task.cancel()


async def over_the_watch(rounds: list[list[Step]], directory: Path) -> None:
    first, *others = rounds
    api_of = embedded_api(str(directory / "api"), ("127.0.0.1", 0), CLUSTER, lambda _: None, Random(1))
    async with api_of as api, client_of(Path(api.kubeconfig)) as client:
        # What is there before anybody watches comes by the lists.
        for step in first[::2]:
            await client.do(step)
        connection = Connection(Kubeconfig(api.kubeconfig), asyncio.get_running_loop().time, QUICK.credentials)
        known_state = KnownStateFile(str(directory), ("embedded",))
        source = KubernetesSource(connection, Scope("here"), known_state, QUICK, Random(1))
        without_object = {"disconnect": api.store.end_watches, "reread": source.reread}
        async with following(source) as followed:
            later = [first[1::2], *others]
            await play(later, followed, client, lambda name: without_object[name]())


async def standalone(rounds: list[list[Step]], directory: Path) -> None:
    source = StandaloneSource(str(directory / "api"), ("127.0.0.1", 0), CLUSTER)
    async with following(source) as followed, client_of(directory / "api" / "kubeconfig") as client:
        await play(rounds, followed, client, lambda _: source.reread())


Scenario = Callable[[list[list[Step]], Path], Awaitable[None]]


def run(scenario: Scenario, rounds: list[list[Step]]) -> None:
    async def scene(directory: str) -> None:
        await scenario(rounds, Path(directory))

    with TemporaryDirectory() as directory:
        asyncio.run(scene(directory))


# An example takes a tenth of a second, so a failure is not made smaller: that would take minutes.
@pytest.mark.long
@pytest.mark.timeout(300)
@settings(max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(CASES)
def test_the_plan_behind_a_watch_is_the_plan_of_what_the_api_lists(rounds: list[list[Step]]) -> None:
    run(over_the_watch, rounds)


@pytest.mark.long
@pytest.mark.timeout(300)
@settings(max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(CASES)
def test_the_plan_of_a_standalone_proxy_is_the_plan_of_what_its_api_lists(rounds: list[list[Step]]) -> None:
    run(standalone, rounds)
