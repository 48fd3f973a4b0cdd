"""ClientIP affinity: who sticks to what, for how long, and what ends it."""

import time
from collections.abc import Iterator
from itertools import count

import pytest

from tests.system.harness.backends import Backend, StartBackends
from tests.system.harness.clients import ask, ask_often, ask_udp
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, annotated, endpoint_slice, pod, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

HERE = "127.0.0.1"
CLIENTS = [f"127.0.0.{number}" for number in range(1, 21)]


class Scene:
    """A Service `web` over three echo backends, with the ports `first` and `second`, on a ClusterIP and node ports."""

    def __init__(self, places: Places, backends: list[Backend]) -> None:
        self.cluster_ip, self.first, self.second = places.cluster_ip(), places.node_port(), places.node_port()
        self.pods = {each.name: pod(each.name, each.address, {"echo": each.port}, {"app": "web"}) for each in backends}
        self.endpoints = {each.name: f"{each.address}:{each.port}" for each in backends}

    def service(self, timeout: int | None = None, affinity: str = "ClientIP") -> Manifest:
        config = {} if timeout is None else {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": timeout}}}
        return service(
            "web",
            port(80, "echo", name="first", nodePort=self.first),
            port(81, "echo", name="second", nodePort=self.second),
            type="NodePort",
            clusterIP=self.cluster_ip,
            selector={"app": "web"},
            sessionAffinity=affinity,
            **config,
        )

    def edit(self, proxy: Svcproxy, changed: Manifest, seconds: int) -> None:
        """Put a changed Service, and wait until it is in force."""
        proxy.manifests.put(changed)
        eventually(lambda: {pool["affinitySeconds"] for pool in proxy.service("web")["pools"]} == {seconds}, "the edit")


@pytest.fixture
def scene(places: Places, echo_backends: StartBackends) -> Scene:
    return Scene(places, echo_backends("a", "b", "c"))


def test_a_client_stays_and_clients_are_spread(svcproxy: StartSvcproxy, scene: Scene) -> None:
    svcproxy([scene.service(), *scene.pods.values()])
    bound = {client: ask(HERE, scene.first, client) for client in CLIENTS}
    for client in CLIENTS:
        assert ask_often(5, HERE, scene.first, client) == {bound[client]: 5}
    assert set(bound.values()) == {"a", "b", "c"}


def test_cluster_ip_and_node_port_agree(svcproxy: StartSvcproxy, scene: Scene) -> None:
    svcproxy([scene.service(), *scene.pods.values()])
    for number, client in enumerate(CLIENTS):
        asked = [(scene.cluster_ip, 80), (HERE, scene.first)]
        first, then = asked if number % 2 else reversed(asked)
        assert ask(*first, client) == ask(*then, client) == ask(*first, client)


def test_each_port_has_its_own_clients(svcproxy: StartSvcproxy, scene: Scene) -> None:
    svcproxy([scene.service(), *scene.pods.values()])
    ask(HERE, scene.second, "127.0.0.99")  # the two ports' turns are now one apart
    first = {client: ask(HERE, scene.first, client) for client in CLIENTS}
    second = {client: ask(HERE, scene.second, client) for client in CLIENTS}
    assert all(first[client] != second[client] for client in CLIENTS)
    assert {client: ask(HERE, scene.first, client) for client in CLIENTS} == first
    assert {client: ask(HERE, scene.second, client) for client in CLIENTS} == second


def fresh_clients() -> Iterator[str]:
    return (f"127.0.{number // 250 + 1}.{number % 250 + 1}" for number in count())


def test_an_entry_lives_from_its_last_use_for_as_long_as_the_timeout(svcproxy: StartSvcproxy, scene: Scene) -> None:
    """With fo, whoever is not bound goes to the heavier backend, which is only there after everybody was bound."""
    timeout = 1
    web = annotated(scene.service(timeout), scheduler="fo")
    light, heavy = scene.pods["a"], scene.pods["b"]
    heavy["metadata"]["labels"]["svcproxy.io/weight"] = "2"
    proxy = svcproxy([web, light])
    clients = fresh_clients()
    bound_at = {}
    for _ in range(200):
        client = next(clients)
        bound_at[client] = time.monotonic()
        assert ask(HERE, scene.first, client) == "a"
    regular, used = CLIENTS[0], time.monotonic()
    assert ask(HERE, scene.first, regular) == "a"
    proxy.manifests.put(heavy)
    eventually(lambda: scene.endpoints["b"] in proxy.endpoints("web"), "the heavier backend")
    idle = iter(reversed(bound_at))

    def an_idle_client_has_left() -> bool:
        nonlocal used
        before, used = used, time.monotonic()
        if ask(HERE, scene.first, regular) == "b":
            assert time.monotonic() - before >= timeout
        client = next(idle)
        if ask(HERE, scene.first, client) == "a":
            return False
        assert time.monotonic() - bound_at[client] >= timeout
        return True

    eventually(an_idle_client_has_left, "an entry that expired")


def test_takes_effect_and_ends_with_an_edit(svcproxy: StartSvcproxy, scene: Scene) -> None:
    proxy = svcproxy([scene.service(affinity="None"), *scene.pods.values()])
    assert ask_often(9, HERE, scene.first) == {"a": 3, "b": 3, "c": 3}
    scene.edit(proxy, scene.service(), 10800)
    assert len(ask_often(9, HERE, scene.first)) == 1
    scene.edit(proxy, scene.service(60), 60)
    assert len(ask_often(9, HERE, scene.first)) == 1
    scene.edit(proxy, scene.service(affinity="None"), 0)
    assert ask_often(9, HERE, scene.first) == {"a": 3, "b": 3, "c": 3}


def test_a_change_of_the_timeout_keeps_the_entries(svcproxy: StartSvcproxy, scene: Scene) -> None:
    proxy = svcproxy([scene.service(), *scene.pods.values()])
    bound = {client: ask(HERE, scene.first, client) for client in CLIENTS}
    scene.edit(proxy, scene.service(600), 600)
    assert {client: ask(HERE, scene.first, client) for client in reversed(CLIENTS)} == bound


def test_ends_with_its_endpoint_alone(svcproxy: StartSvcproxy, scene: Scene) -> None:
    proxy = svcproxy([scene.service(), *scene.pods.values()])
    bound = {client: ask(HERE, scene.first, client) for client in CLIENTS}
    proxy.manifests.remove(scene.pods["b"])
    eventually(lambda: scene.endpoints["b"] not in proxy.endpoints("web"), "the removal")
    again = {client: ask(HERE, scene.first, client) for client in CLIENTS}
    assert "b" not in again.values()
    assert all(again[client] == name for client, name in bound.items() if name != "b")
    proxy.manifests.put(scene.pods["b"])
    eventually(lambda: scene.endpoints["b"] in proxy.endpoints("web"), "the return")
    assert {client: ask(HERE, scene.first, client) for client in CLIENTS} == again


def test_ends_when_the_endpoint_refuses(
    svcproxy: StartSvcproxy, scene: Scene, echo_backends: StartBackends, places: Places
) -> None:
    (mortal,) = echo_backends("mortal")
    proxy = svcproxy([scene.service(), pod("mortal", mortal.address, {"echo": mortal.port}, {"app": "web"})])
    assert ask(HERE, scene.first) == "mortal"
    proxy.manifests.put(scene.pods["a"])
    eventually(lambda: scene.endpoints["a"] in proxy.endpoints("web"), "the other backend")
    assert ask_often(3, HERE, scene.first) == {"mortal": 3}
    mortal.close()
    assert ask_often(3, HERE, scene.first) == {"a": 3}


def test_binds_udp_clients_over_their_ports(
    svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends
) -> None:
    node_port = places.node_port()
    backends = udp_backends("a", "b", "c")
    udp = port(7007, protocol="UDP", nodePort=node_port)
    slices = endpoint_slice("dns", [each.address for each in backends], {"port": 7007, "protocol": "UDP"})
    svcproxy([service("dns", udp, type="NodePort", sessionAffinity="ClientIP"), slices])
    bound = {client: ask_udp(HERE, node_port, source=client) for client in CLIENTS}
    for client in CLIENTS:
        assert {ask_udp(HERE, node_port, source=client) for _ in range(4)} == {bound[client]}
    assert set(bound.values()) == {"a", "b", "c"}
