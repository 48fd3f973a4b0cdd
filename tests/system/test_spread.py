"""How every scheduler spreads connections that come through a NodePort."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack

import pytest

from proxy.schedulers.registry import SCHEDULERS
from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import Conversation, ask, ask_often, curl
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, annotated, pod, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

HERE = "127.0.0.1"
CLIENTS = [f"127.0.0.{number}" for number in range(1, 65)]


class Scene:
    """One Service `web` with a scheduler, behind it echo pods with weights; `open` holds connections."""

    def __init__(self, proxy: Svcproxy, node_port: int, pods: Mapping[str, Manifest], stack: ExitStack) -> None:
        self.proxy, self.node_port = proxy, node_port
        self._pods = pods
        self._stack = stack

    def ask_often(self, times: int, source: str = "") -> Counter[str]:
        return ask_often(times, HERE, self.node_port, source)

    def open(self, times: int) -> list[Conversation]:
        return [self._stack.enter_context(Conversation(HERE, self.node_port)) for _ in range(times)]

    def weigh(self, name: str, weight: int) -> None:
        changed = self._pods[name]
        labels = changed["metadata"]["labels"] | {"svcproxy.io/weight": str(weight)}
        self.proxy.manifests.put(changed | {"metadata": changed["metadata"] | {"labels": labels}})
        place = f"{changed['status']['podIP']}:7007"
        eventually(lambda: self.proxy.endpoints("web")[place] == weight, f"{name} at weight {weight}")


Stage = Callable[..., Scene]


@pytest.fixture
def stage(svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends) -> Iterator[Stage]:
    with ExitStack() as stack:

        def start(scheduler: str, **weights: int) -> Scene:
            node_port = places.node_port()
            pods = {
                backend.name: pod(
                    backend.name,
                    backend.address,
                    {"echo": backend.port},
                    {"app": "web", "svcproxy.io/weight": str(weights[backend.name])},
                )
                for backend in echo_backends(*weights)
            }
            web = service("web", port(80, "echo", nodePort=node_port), type="NodePort", selector={"app": "web"})
            proxy = svcproxy([annotated(web, scheduler=scheduler), *pods.values()])
            return Scene(proxy, node_port, pods, stack)

        yield start


def names(conversations: Iterable[Conversation]) -> Counter[str]:
    return Counter(conversation.name for conversation in conversations)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_weight_0_drains_under_every_scheduler(stage: Stage, scheduler: str) -> None:
    scene = stage(scheduler, a=1, b=1)
    (held,) = scene.open(1)
    scene.weigh(held.name, 0)
    assert held.name not in scene.ask_often(20)
    assert held.say(b"still here") == b"still here"
    scene.weigh("b" if held.name == "a" else "a", 0)
    with pytest.raises(ConnectionRefusedError):
        ask(HERE, scene.node_port)
    scene.weigh(held.name, 1)
    assert set(scene.ask_often(3)) == {held.name}


@pytest.mark.requires("curl")
def test_rr_goes_round_for_curl(svcproxy: StartSvcproxy, places: Places, http_backends: StartBackends) -> None:
    node_port = places.node_port()
    backends = http_backends(*"abcde")
    svcproxy(
        [
            service("web", port(80, "http", nodePort=node_port), type="NodePort", selector={"app": "web"}),
            *(pod(each.name, each.address, {"http": each.port}, {"app": "web"}) for each in backends),
        ]
    )
    assert Counter(curl(f"http://{HERE}:{node_port}/") for _ in range(25)) == dict.fromkeys(
        [f"{name}\n" for name in "abcde"], 5
    )


def test_rr_gives_each_the_same_whatever_the_weights(stage: Stage) -> None:
    assert stage("rr", a=1, b=7, c=2).ask_often(30) == {"a": 10, "b": 10, "c": 10}


def test_wrr_follows_the_weights_to_the_connection(stage: Stage) -> None:
    assert stage("wrr", a=4, b=3, c=2).ask_often(27) == {"a": 12, "b": 9, "c": 6}


def test_lc_fills_what_has_the_fewest_open_connections(stage: Stage) -> None:
    scene = stage("lc", a=5, b=1, c=1)
    held = scene.open(12)
    assert names(held) == {"a": 4, "b": 4, "c": 4}
    for conversation in held:
        if conversation.name == "b":
            conversation.finish()
    assert names(scene.open(4)) == {"b": 4}


def test_wlc_keeps_open_connections_in_proportion(stage: Stage) -> None:
    assert names(stage("wlc", a=3, b=1).open(12)) == {"a": 9, "b": 3}


def test_sed_keeps_open_connections_in_proportion_and_prefers_the_heavy(stage: Stage) -> None:
    scene = stage("sed", a=3, b=1)
    assert names(scene.open(2)) == {"a": 2}
    assert names(scene.open(10)) == {"a": 7, "b": 3}


def test_nq_uses_an_idle_backend_before_a_heavy_one(stage: Stage) -> None:
    scene = stage("nq", a=10, b=1)
    assert names(scene.open(2)) == {"a": 1, "b": 1}
    assert names(scene.open(5)) == {"a": 5}


@pytest.mark.parametrize("scheduler", ["lblc", "lblcr"])
def test_one_address_keeps_one_backend_until_that_is_overloaded(stage: Stage, scheduler: str) -> None:
    scene = stage(scheduler, a=1, b=1)
    assert len(scene.ask_often(10)) == 1
    (overloaded,) = names(scene.open(2))
    (other,) = names(scene.open(1))
    assert other != overloaded
    assert scene.ask_often(5) == {other: 5}


@pytest.mark.parametrize("scheduler", ["sh", "mh"])
def test_each_client_keeps_its_backend_and_clients_are_spread(stage: Stage, scheduler: str) -> None:
    scene = stage(scheduler, a=1, b=1, c=1)
    first = {client: ask(HERE, scene.node_port, client) for client in CLIENTS}
    assert {client: ask(HERE, scene.node_port, client) for client in reversed(CLIENTS)} == first
    assert set(first.values()) == {"a", "b", "c"}


def test_sh_gives_clients_in_proportion_to_the_weights(stage: Stage) -> None:
    scene = stage("sh", a=3, b=1)
    shares = Counter(ask(HERE, scene.node_port, client) for client in CLIENTS)
    assert 2 * len(CLIENTS) // 3 <= shares["a"] <= 5 * len(CLIENTS) // 6


def test_dh_keeps_one_backend_for_each_address_asked(stage: Stage) -> None:
    scene = stage("dh", a=1, b=1, c=1)
    first = {asked: ask(asked, scene.node_port) for asked in CLIENTS}
    assert {asked: ask(asked, scene.node_port, "127.0.0.99") for asked in CLIENTS} == first
    assert set(first.values()) == {"a", "b", "c"}


def test_fo_uses_the_heaviest_and_falls_back_to_the_next(stage: Stage) -> None:
    scene = stage("fo", a=2, b=3, c=1)
    assert scene.ask_often(5) == {"b": 5}
    scene.weigh("b", 0)
    assert scene.ask_often(5) == {"a": 5}


def test_ovf_overflows_to_the_next_and_refuses_beyond_the_last(stage: Stage) -> None:
    scene = stage("ovf", a=3, b=2)
    assert [conversation.name for conversation in scene.open(7)] == ["a"] * 4 + ["b"] * 3
    with pytest.raises(ConnectionResetError):
        scene.open(1)


def test_twos_levels_open_connections(stage: Stage) -> None:
    counts = names(stage("twos", a=1, b=1, c=1).open(60))
    assert set(counts) == {"a", "b", "c"}
    assert max(counts.values()) - min(counts.values()) <= 20


@pytest.mark.parametrize("scheduler", ["random", "twos"])
def test_a_random_choice_meets_every_backend(stage: Stage, scheduler: str) -> None:
    assert set(stage(scheduler, a=1, b=1, c=1).ask_often(100)) == {"a", "b", "c"}
