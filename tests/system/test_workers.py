"""Several processes that forward: they share the clients, agree on who is least busy, and may die."""

import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psutil
import pytest

from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import Conversation, ask, ask_often, ask_udp, is_refused
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, annotated, endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

HERE = "127.0.0.1"
CLIENTS = [f"127.0.0.{number}" for number in range(1, 33)]
TWO = {"workers": 2}


class Scene:
    """A Service `web` on a node port, with echo backends `a`, `b`, `c`."""

    def __init__(self, places: Places, echo: StartBackends) -> None:
        self.node_port = places.node_port()
        self._backends = echo("a", "b", "c")

    def manifests(self, scheduler: str = "rr", **spec: object) -> list[Manifest]:
        web = service("web", port(80, nodePort=self.node_port), type="NodePort", **spec)
        addresses = [backend.address for backend in self._backends]
        slice_ = endpoint_slice("web", addresses, {"port": self._backends[0].port})
        return [annotated(web, scheduler=scheduler), slice_]


@pytest.fixture
def scene(places: Places, echo_backends: StartBackends) -> Scene:
    return Scene(places, echo_backends)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def hold(scene: Scene, stack: ExitStack) -> Callable[[int], list[Conversation]]:
    """Opens so many connections that stay."""

    def hold(count: int) -> list[Conversation]:
        return [stack.enter_context(Conversation(HERE, scene.node_port)) for _ in range(count)]

    return hold


def connections_of(proxy: Svcproxy) -> list[int]:
    """Connections that each worker has from clients and to endpoints."""
    return [
        sum(each.status == psutil.CONN_ESTABLISHED for each in worker.net_connections("tcp"))
        for worker in proxy.workers()
    ]


def wait_for_restart(proxy: Svcproxy, number: int) -> None:
    proxy.wait_for_event("worker started", worker=number)


def wait_for_affinity(proxy: Svcproxy, seconds: int) -> None:
    eventually(lambda: {pool["affinitySeconds"] for pool in proxy.service("web")["pools"]} == {seconds}, "the edit")


Hold = Callable[[int], list[Conversation]]


def test_two_workers_share_the_clients(svcproxy: StartSvcproxy, scene: Scene, hold: Hold) -> None:
    proxy = svcproxy(scene.manifests(), configuration=TWO)
    assert len(proxy.workers()) == 2
    held = hold(40)
    assert all(connections_of(proxy))
    assert {each.name for each in held} == {"a", "b", "c"}
    for each in held:
        assert each.say(b"x" * 100_000) == b"x" * 100_000
        each.finish()


@pytest.mark.parametrize("scheduler", ["lc", "wlc", "sed", "nq"])
def test_workers_choose_by_the_counts_of_all(svcproxy: StartSvcproxy, scene: Scene, hold: Hold, scheduler: str) -> None:
    proxy = svcproxy(scene.manifests(scheduler), configuration=TWO)
    held = hold(30)
    assert all(connections_of(proxy))
    assert Counter(each.name for each in held) == {"a": 10, "b": 10, "c": 10}
    for each in held:
        if each.name == "b":
            each.finish()
    eventually(lambda: sum(connections_of(proxy)) == 40, "the ends of ten connections")
    assert Counter(each.name for each in hold(10)) == {"b": 10}


@pytest.mark.parametrize("settings", [{"sessionAffinity": "ClientIP"}, {"scheduler": "sh"}], ids=["ClientIP", "sh"])
def test_a_client_meets_the_same_pod_whatever_its_port(
    svcproxy: StartSvcproxy, scene: Scene, settings: dict[str, str]
) -> None:
    svcproxy(scene.manifests(**settings), configuration=TWO)
    bound = {client: ask(HERE, scene.node_port, client) for client in CLIENTS}
    assert set(bound.values()) == {"a", "b", "c"}
    for client in CLIENTS:
        assert ask_often(6, HERE, scene.node_port, client) == {bound[client]: 6}


def test_affinity_that_is_switched_on_and_off_steers_and_spreads(
    svcproxy: StartSvcproxy, scene: Scene, hold: Hold
) -> None:
    proxy = svcproxy(scene.manifests(), configuration=TWO)
    for affinity, seconds in (("ClientIP", 10800), ("None", 0)):
        proxy.manifests.put(*scene.manifests(sessionAffinity=affinity))
        wait_for_affinity(proxy, seconds)
        names = ask_often(12, HERE, scene.node_port)
        assert (len(names) == 1) is (affinity == "ClientIP")
        held = hold(24)
        assert all(connections_of(proxy)) is (affinity == "None")
        for each in held:
            each.finish()
        eventually(lambda: sum(connections_of(proxy)) == 0, "the end of all connections")


def test_udp_clients_meet_the_same_pod(svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends) -> None:
    node_port, backends = places.node_port(), udp_backends("a", "b", "c")
    dns = service("dns", port(53, protocol="UDP", nodePort=node_port), type="NodePort", sessionAffinity="ClientIP")
    addresses = [backend.address for backend in backends]
    proxy = svcproxy(
        [dns, endpoint_slice("dns", addresses, {"port": backends[0].port, "protocol": "UDP"})], configuration=TWO
    )
    bound = {client: ask_udp(HERE, node_port, source=client) for client in CLIENTS}
    assert set(bound.values()) == {"a", "b", "c"}
    for client in CLIENTS:
        assert {ask_udp(HERE, node_port, source=client) for _ in range(4)} == {bound[client]}
    assert proxy.events("worker died") == []


def test_a_killed_worker_costs_its_own_connections_and_no_client(
    svcproxy: StartSvcproxy, scene: Scene, hold: Hold
) -> None:
    proxy = svcproxy(scene.manifests(), configuration=TWO)
    held = hold(24)
    before = connections_of(proxy)
    ended = threading.Event()
    failures: list[OSError] = []

    def keep_asking() -> None:
        while not ended.is_set():
            try:
                with socket.create_connection((HERE, scene.node_port), 10) as client:
                    client.recv(10)
            except ConnectionResetError:
                # Accepted by the worker that died.
                continue
            except OSError as error:
                failures.append(error)

    clients = [threading.Thread(target=keep_asking) for _ in range(4)]
    for client in clients:
        client.start()
    proxy.workers()[0].send_signal(signal.SIGKILL)
    wait_for_restart(proxy, 0)
    ended.set()
    for client in clients:
        client.join()
    assert failures == []
    alive = 0
    for each in held:
        try:
            alive += each.say(b"x") == b"x"
        except ConnectionError:
            continue
    assert alive * 2 == before[1]
    assert len(ask_often(40, HERE, scene.node_port)) == 3
    assert all(connections_of(proxy)) or len(hold(24)) == 24
    (died,) = proxy.events("worker died, and is started anew")
    assert (died["worker"], died["ended"]) == (0, "signal SIGKILL")


def test_a_worker_that_was_away_learns_what_changed(svcproxy: StartSvcproxy, scene: Scene) -> None:
    proxy = svcproxy(scene.manifests(sessionAffinity="ClientIP"), configuration=TWO)
    for number in (0, 1):
        proxy.workers()[number].send_signal(signal.SIGKILL)
        wait_for_restart(proxy, number)
    bound = {client: ask(HERE, scene.node_port, client) for client in CLIENTS}
    for client in CLIENTS:
        assert ask_often(3, HERE, scene.node_port, client) == {bound[client]: 3}
    first, second = scene.manifests()
    proxy.manifests.put(first, second | {"endpoints": []})
    eventually(lambda: is_refused(HERE, scene.node_port), "the refusal")
    proxy.manifests.put(first, second)
    eventually(lambda: not is_refused(HERE, scene.node_port), "the service")
    assert set(ask_often(40, HERE, scene.node_port)) == {"a", "b", "c"}


def test_the_counts_of_a_dead_worker_are_forgotten(svcproxy: StartSvcproxy, scene: Scene, hold: Hold) -> None:
    proxy = svcproxy(scene.manifests("lc"), configuration=TWO)
    hold(30)
    for number in (0, 1):
        proxy.workers()[number].send_signal(signal.SIGKILL)
        wait_for_restart(proxy, number)
    active = [endpoint["active"] for pool in proxy.service("web")["pools"] for endpoint in pool["endpoints"]]
    assert set(active) == {0}


def test_a_drain_waits_for_the_connections_of_all(svcproxy: StartSvcproxy, scene: Scene, hold: Hold) -> None:
    proxy = svcproxy(scene.manifests(), "--grace", "10m", configuration=TWO)
    held = hold(24)
    proxy.send(signal.SIGTERM)
    assert proxy.wait_for_event("draining")["connections"] == 24
    assert is_refused(HERE, scene.node_port)
    for each in held:
        assert each.say(b"x") == b"x"
        each.finish()
    assert proxy.wait() == 0
    assert proxy.events("stopped")[0]["connections_cut"] == 0


def test_what_is_left_after_the_grace_period_is_cut(svcproxy: StartSvcproxy, scene: Scene, hold: Hold) -> None:
    proxy = svcproxy(scene.manifests(), "--grace", "100ms", configuration=TWO)
    hold(24)
    assert proxy.stop() == 0
    assert proxy.events("stopped")[0]["connections_cut"] == 24


def test_a_signal_to_the_whole_group_is_still_a_drain(svcproxy: StartSvcproxy, scene: Scene, hold: Hold) -> None:
    proxy = svcproxy(scene.manifests(), "--grace", "10m", configuration=TWO)
    (one,) = hold(1)
    for worker in proxy.workers():
        worker.send_signal(signal.SIGTERM)
        worker.send_signal(signal.SIGINT)
    proxy.send(signal.SIGTERM)
    proxy.wait_for_event("draining")
    assert one.say(b"x") == b"x"
    one.finish()
    assert proxy.wait() == 0


def test_no_worker_outlives_the_control_process(svcproxy: StartSvcproxy, scene: Scene) -> None:
    proxy = svcproxy(scene.manifests(), configuration=TWO)
    workers = proxy.workers()
    os.kill(proxy.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []


def test_without_workers_the_program_forwards_itself(svcproxy: StartSvcproxy, scene: Scene) -> None:
    proxy = svcproxy(scene.manifests(), "--workers", "0", configuration=TWO)
    assert proxy.workers() == []
    assert ask_often(6, HERE, scene.node_port) == {"a": 2, "b": 2, "c": 2}
    assert proxy.stop() == 0


def test_the_access_log_has_every_line_whole(svcproxy: StartSvcproxy, scene: Scene, hold: Hold) -> None:
    proxy = svcproxy(scene.manifests(), "--access-log", configuration=TWO)
    for each in hold(60):
        each.finish()
    assert proxy.stop() == 0
    assert len(proxy.events("flow")) == 60


@pytest.mark.parametrize("value", ["-1", "two", "1.5", "257", ""])
def test_a_number_of_workers_that_is_none_is_refused(svcproxy: StartSvcproxy, scene: Scene, value: str) -> None:
    proxy = svcproxy(scene.manifests(), f"--workers={value}", wait=False)
    assert proxy.wait() == 2
    assert proxy.stderr == [f"svcproxy: --workers: must be a whole number from 0 to 256, not {value!r}"]
