"""A second svcproxy whose cluster is the API that the first one carries, over TLS and with its kubeconfig.

What kubectl changes reaches both; the API may be killed at any moment, and the follower serves on and catches up.
"""

import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.system.harness.backends import Backend, StartBackends
from tests.system.harness.clients import Conversation, ask_often, is_refused
from tests.system.harness.dig import Dig
from tests.system.harness.eventually import eventually
from tests.system.harness.held import held_endpoints, held_pool_settings, held_services
from tests.system.harness.kubectl import Kubectl
from tests.system.harness.manifests import Manifest, endpoint_slice, pod, port, service
from tests.system.harness.places import Places
from tests.system.harness.standalone import Standalone
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

pytestmark = pytest.mark.requires("kubectl")

LABELS = {"app": "web"}
ROUNDS = 12
LAST_KNOWN = "serving last known state"


class Pair:
    """`api` carries the API and `follower` follows it; each has its node ports on an address of its own."""

    def __init__(self, directory: Path, places: Places, svcproxy: StartSvcproxy) -> None:
        self._directory, self._svcproxy = directory, svcproxy
        self.api_address, self.follower_address = places.address(), places.address()
        self.node_port = places.node_port()
        self._standalone = Standalone(directory, places, svcproxy)
        self.api = self.start_api()
        self.kubectl = Kubectl(directory, self._standalone.kubeconfig)
        self.follower = self.start_follower()

    def start_api(self) -> Svcproxy:
        self.api = self._standalone.start(configuration={"bindAddress": self.api_address})
        return self.api

    def start_follower(self, *flags: str) -> Svcproxy:
        self.follower = self._svcproxy(
            (),
            f"--kubeconfig={self._standalone.kubeconfig}",
            *flags,
            configuration={
                "manifests": [],
                "bindAddress": self.follower_address,
                "stateDirectory": str(self._directory / "follower"),
            },
        )
        return self.follower

    def kill_api(self) -> None:
        assert self.api.stop(signal.SIGKILL) == -signal.SIGKILL

    def wait_until_both_lead_to(self, backends: list[Backend]) -> None:
        for proxy in (self.api, self.follower):
            wait_until_leading_to(proxy, backends)


def wait_until_leading_to(proxy: Svcproxy, backends: list[Backend]) -> None:
    places = {f"{each.address}:{each.port}" for each in backends}
    eventually(lambda: held_endpoints(proxy, "web") == places, f"the endpoints {places}")


@pytest.fixture
def pair(tmp_path: Path, places: Places, svcproxy: StartSvcproxy) -> Pair:
    return Pair(tmp_path, places, svcproxy)


@pytest.fixture
def backends(echo_backends: StartBackends) -> list[Backend]:
    return echo_backends("web-a", "web-b", "web-c")


def web(pair: Pair) -> Manifest:
    return service("web", port(8000, "echo", nodePort=pair.node_port), selector=LABELS, type="NodePort")


def pods(backends: list[Backend]) -> list[Manifest]:
    return [pod(each.name, each.address, {"echo": each.port}, LABELS) for each in backends]


def evenly(backends: list[Backend]) -> dict[str, int]:
    return {each.name: ROUNDS // len(backends) for each in backends}


@pytest.fixture
def served(pair: Pair, backends: list[Backend]) -> list[Backend]:
    """The backends of the Service `web`, to which both proxies lead; one more is not a pod yet."""
    first = backends[:2]
    pair.kubectl.apply(web(pair), *pods(first))
    pair.wait_until_both_lead_to(first)
    return first


def test_what_kubectl_changes_is_served_through_both(
    pair: Pair, served: list[Backend], backends: list[Backend]
) -> None:
    for address in (pair.api_address, pair.follower_address):
        assert ask_often(ROUNDS, address, pair.node_port) == evenly(served)
    pair.kubectl.apply(*pods(backends[2:]))
    pair.wait_until_both_lead_to(backends)
    for address in (pair.api_address, pair.follower_address):
        assert ask_often(ROUNDS, address, pair.node_port) == evenly(backends)
    pair.kubectl.patch("svc", "web", {"spec": {"sessionAffinity": "ClientIP"}})
    eventually(lambda: held_pool_settings(pair.follower, "web") == [("rr", 10800)], "affinity at the follower")
    assert list(ask_often(ROUNDS, pair.follower_address, pair.node_port).values()) == [ROUNDS]
    pair.kubectl("delete", "svc", "web")
    eventually(lambda: not held_services(pair.follower), "the Service is gone")
    assert is_refused(pair.follower_address, pair.node_port)


@pytest.mark.requires("dig")
def test_a_clusters_names_are_answered_only_where_somebody_says_so(
    pair: Pair, places: Places, backends: list[Backend]
) -> None:
    assert pair.follower.events("serving DNS") == []
    assert pair.follower.stop() == 0
    dig = Dig(pair.start_follower(f"--dns={places.address()}:10053"))
    name = "web.default.svc.cluster.local."
    assert dig(name).code == "NXDOMAIN"
    pair.kubectl.apply(service("web", port(8000, "echo"), clusterIP="None", selector=LABELS), *pods(backends))
    eventually(lambda: set(dig(name).values) == {each.address for each in backends}, "the pods' addresses")
    pair.kubectl("delete", "pod", backends[0].name)
    eventually(lambda: set(dig(name).values) == {each.address for each in backends[1:]}, "a pod less")


def test_how_long_a_change_of_endpoints_took_is_measured_from_its_trigger(pair: Pair, backends: list[Backend]) -> None:
    endpoints = endpoint_slice("web", [backends[0].address], {"port": backends[0].port})
    triggered = {"endpoints.kubernetes.io/last-change-trigger-time": datetime.now(UTC).isoformat()}
    endpoints["metadata"]["annotations"] = triggered
    pair.kubectl.apply(service("web", port(8000, nodePort=pair.node_port), type="NodePort"), endpoints)
    wait_until_leading_to(pair.follower, backends[:1])
    counted = 'kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"} 1.0'
    eventually(lambda: counted in pair.follower.get("/metrics")[1], "the change is measured")


def test_an_api_that_is_killed_mid_watch_interrupts_no_traffic_and_is_caught_up_with(
    pair: Pair, served: list[Backend], backends: list[Backend]
) -> None:
    with Conversation(pair.follower_address, pair.node_port) as stream:
        pair.kill_api()
        assert ask_often(ROUNDS, pair.follower_address, pair.node_port) == evenly(served)
        assert stream.say(b"while it is away") == b"while it is away"
        pair.start_api()
        pair.kubectl.apply(*pods(backends[2:]))
        pair.kubectl("delete", "pod", "web-a")
        pair.wait_until_both_lead_to(backends[1:])
        assert ask_often(ROUNDS, pair.follower_address, pair.node_port) == evenly(backends[1:])
        assert stream.say(b"and after") == b"and after"


def test_what_was_answered_before_a_kill_is_there_after_it(pair: Pair, served: list[Backend]) -> None:
    before = pair.kubectl.read("svc", "web")
    pair.kill_api()
    pair.start_api()
    assert pair.kubectl.read("svc", "web") == before
    wait_until_leading_to(pair.api, served)
    assert ask_often(ROUNDS, pair.api_address, pair.node_port) == evenly(served)


def test_a_follower_that_starts_while_the_api_is_away_serves_the_last_known_state(
    pair: Pair, served: list[Backend], backends: list[Backend]
) -> None:
    assert pair.follower.stop() == 0
    pair.kill_api()
    pair.start_follower()
    assert pair.follower.wait_for(LAST_KNOWN)
    assert ask_often(ROUNDS, pair.follower_address, pair.node_port) == evenly(served)
    pair.start_api()
    pair.kubectl.apply(*pods(backends[2:]))
    pair.wait_until_both_lead_to(backends)
    assert ask_often(ROUNDS, pair.follower_address, pair.node_port) == evenly(backends)
