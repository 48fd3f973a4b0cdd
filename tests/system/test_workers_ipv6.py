"""Several processes that forward IPv6, in a network namespace of the test's own; captured in either way."""

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.system.harness.backends import echo_backend, udp_backend
from tests.system.harness.clients import Conversation, ask, ask_often, ask_udp, is_refused
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, annotated, endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

pytestmark = pytest.mark.requires("ip")

LOOPBACK = "::1"
CLIENTS = [f"fd00:96::c{number:x}" for number in range(16)]
BACKENDS = {name: f"fd00:96::b{number}" for number, name in enumerate("abc")}
ENDPOINT_PORT = 7007
PORT = 8000


class Scene:
    """A Service `web` of IPv6 alone with two workers, its `places` the ClusterIP and the node port of loopback."""

    def __init__(self, start: StartSvcproxy, places: Places, capture: str) -> None:
        self._start = start
        self._capture = capture
        self._node_port = places.node_port()

    def start(self, scheduler: str = "rr", protocol: str = "TCP", **spec: object) -> Svcproxy:
        flags = ("--workers", "2", "--capture", self._capture)
        ranges = {"serviceClusterIPRange": "fd00:96::/112"}
        self.proxy = self._start(self.manifests(scheduler, protocol, **spec), *flags, configuration=ranges)
        return self.proxy

    def manifests(self, scheduler: str = "rr", protocol: str = "TCP", **spec: object) -> list[Manifest]:
        ports = port(PORT, protocol=protocol, nodePort=self._node_port)
        web = service("web", ports, type="NodePort", ipFamilies=["IPv6"], **spec)
        slice_ = endpoint_slice("web", list(BACKENDS.values()), {"port": ENDPOINT_PORT, "protocol": protocol})
        return [annotated(web, scheduler=scheduler), slice_ | {"addressType": "IPv6"}]

    @property
    def places(self) -> list[tuple[str, int]]:
        (cluster_ip,) = self.proxy.service("web")["service"]["spec"]["clusterIPs"]
        return [(cluster_ip, PORT), (LOOPBACK, self._node_port)]

    def workers_by_client(self) -> list[tuple[str, int]]:
        """The client's address and the worker of each open connection."""
        answer = json.loads(self.proxy.get("/api/v1/connections")[1])
        return [(each["client"].rpartition(":")[0].strip("[]"), each["worker"]) for each in answer["connections"]]


@pytest.fixture(params=["bind", "sklookup"])
def scene(request: pytest.FixtureRequest, network_namespace: None, svcproxy: StartSvcproxy, places: Places) -> Scene:
    if request.param == "sklookup":
        request.getfixturevalue("sklookup_permitted")
    added = "".join(f"address add {each}/128 dev lo nodad\n" for each in (*CLIENTS, *BACKENDS.values()))
    subprocess.run(["ip", "-6", "-batch", "-"], input=added, text=True, check=True, timeout=20)
    return Scene(svcproxy, places, request.param)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def echo(scene: Scene, stack: ExitStack) -> None:
    for name, address in BACKENDS.items():
        stack.enter_context(echo_backend(name, address, ENDPOINT_PORT))


@pytest.fixture
def hold(stack: ExitStack) -> Callable[..., Conversation]:
    """Opens a connection that stays."""

    def hold(place: tuple[str, int], source: str = "") -> Conversation:
        return stack.enter_context(Conversation(*place, source))

    return hold


Hold = Callable[..., Conversation]


@pytest.mark.usefixtures("echo")
def test_two_workers_share_the_clients_and_reach_every_endpoint(scene: Scene, hold: Hold) -> None:
    scene.start()
    for place in scene.places:
        held = [hold(place) for _ in range(40)]
        assert {each.name for each in held} == set(BACKENDS)
        for each in held:
            assert each.say(b"x" * 100_000) == b"x" * 100_000
    assert {worker for _, worker in scene.workers_by_client()} == {0, 1}


@pytest.mark.usefixtures("echo")
def test_workers_choose_by_the_counts_of_all(scene: Scene, hold: Hold) -> None:
    scene.start("lc")
    held = [hold(place) for place in scene.places * 15]
    assert Counter(each.name for each in held) == dict.fromkeys(BACKENDS, 10)
    assert {worker for _, worker in scene.workers_by_client()} == {0, 1}


@pytest.mark.usefixtures("echo")
@pytest.mark.parametrize("settings", [{"sessionAffinity": "ClientIP"}, {"scheduler": "sh"}], ids=["ClientIP", "sh"])
def test_a_client_is_steered_to_one_worker_and_one_endpoint(scene: Scene, hold: Hold, settings: dict[str, str]) -> None:
    scene.start(**settings)
    for place in scene.places:
        bound = {client: ask(*place, client) for client in CLIENTS}
        assert set(bound.values()) == set(BACKENDS)
        for client in CLIENTS:
            assert ask_often(4, *place, client) == {bound[client]: 4}
            for _ in range(3):
                hold(place, client)
    found = scene.workers_by_client()
    assert len(found) == len(scene.places) * len(CLIENTS) * 3
    workers = dict(found)
    assert set(workers) == set(CLIENTS)
    assert set(workers.values()) == {0, 1}
    assert all(workers[client] == worker for client, worker in found)


@pytest.mark.usefixtures("echo")
def test_without_endpoints_every_worker_refuses_until_there_are_some(scene: Scene) -> None:
    proxy = scene.start()
    web, slice_ = scene.manifests()
    places = scene.places
    proxy.manifests.put(slice_ | {"endpoints": []})
    eventually(lambda: all(is_refused(*place) for place in places), "the refusal")
    assert all(is_refused(*place) for place in places * 10)
    proxy.manifests.put(web, slice_)
    eventually(lambda: not any(is_refused(*place) for place in places), "the service")
    for place in places:
        assert set(ask_often(40, *place)) == set(BACKENDS)


def test_a_udp_client_is_steered_to_one_endpoint(scene: Scene, stack: ExitStack) -> None:
    for name, address in BACKENDS.items():
        stack.enter_context(udp_backend(name, address, ENDPOINT_PORT))
    scene.start(protocol="UDP", sessionAffinity="ClientIP")
    for place in scene.places:
        bound = {client: ask_udp(*place, source=client) for client in CLIENTS}
        assert set(bound.values()) == set(BACKENDS)
        for client in CLIENTS:
            assert {ask_udp(*place, source=client) for _ in range(4)} == {bound[client]}
    assert {worker for _, worker in scene.workers_by_client()} == {0, 1}
