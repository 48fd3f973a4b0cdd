"""How the proxy ends: SIGTERM lets what is connected finish, within the grace period."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import Conversation, ask, ask_udp, connect, is_refused
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import HEALTH_PORT, StartSvcproxy

HERE = "127.0.0.1"
BOTH = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


class Scene:
    """An echo Service `web` on a node port, a UDP one on another."""

    def __init__(self, places: Places, echo: StartBackends, udp: StartBackends) -> None:
        (stream,), (datagrams,) = echo("a"), udp("d")
        self.node_port, self.udp_port = places.node_port(), places.node_port()
        self.manifests: list[Manifest] = [
            service("web", port(80, nodePort=self.node_port), type="NodePort"),
            endpoint_slice("web", [stream.address], {"port": stream.port}),
            service("dns", port(53, protocol="UDP", nodePort=self.udp_port), type="NodePort"),
            endpoint_slice("dns", [datagrams.address], {"port": datagrams.port, "protocol": "UDP"}),
        ]


@pytest.fixture
def scene(places: Places, echo_backends: StartBackends, udp_backends: StartBackends) -> Scene:
    return Scene(places, echo_backends, udp_backends)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@BOTH
def test_ends_at_once_when_nobody_is_connected(svcproxy: StartSvcproxy, scene: Scene, number: signal.Signals) -> None:
    proxy = svcproxy(scene.manifests, "--grace", "10m")
    assert ask(HERE, scene.node_port) == "a"
    assert proxy.stop(number) == 0
    assert proxy.events("stopped")[0]["connections_cut"] == 0


@BOTH
def test_refuses_new_clients_and_lets_the_connected_finish(
    svcproxy: StartSvcproxy, scene: Scene, number: signal.Signals
) -> None:
    proxy = svcproxy(scene.manifests, "--grace", "10m")
    with Conversation(HERE, scene.node_port) as first, Conversation(HERE, scene.node_port) as second:
        proxy.send(number)
        assert proxy.wait_for_event("draining")["connections"] == 2
        assert is_refused(HERE, scene.node_port)
        assert first.say(b"x" * 100_000) == b"x" * 100_000
        assert first.finish() == b""
        assert second.say(b"still") == b"still"
        assert second.finish() == b""
    assert proxy.wait() == 0
    assert proxy.events("stopped")[0]["connections_cut"] == 0


def test_says_while_draining_that_it_lives_and_wants_no_more_clients(svcproxy: StartSvcproxy, scene: Scene) -> None:
    proxy = svcproxy(scene.manifests, "--grace", "10m")
    assert proxy.get("/readyz")[0] == 200
    with Conversation(HERE, scene.node_port) as held:
        proxy.send(signal.SIGTERM)
        proxy.wait_for_event("draining")
        paths = ("/livez", "/readyz", "/healthz")
        assert [proxy.get(path, HEALTH_PORT)[0] for path in paths] == [200, 503, 503]
        assert ask_udp(HERE, scene.udp_port) == "d"
        held.finish()
    assert proxy.wait() == 0


def test_cuts_with_a_reset_what_outlives_the_grace_period(svcproxy: StartSvcproxy, scene: Scene) -> None:
    proxy = svcproxy(scene.manifests, "--grace", "300ms")
    with Conversation(HERE, scene.node_port) as held:
        proxy.send(signal.SIGTERM)
        with pytest.raises(ConnectionResetError):
            held.socket.recv(1)
    assert proxy.wait() == 0
    assert proxy.events("stopped")[0]["connections_cut"] == 1


@BOTH
def test_a_second_signal_ends_it_at_once(svcproxy: StartSvcproxy, scene: Scene, number: signal.Signals) -> None:
    proxy = svcproxy(scene.manifests, "--grace", "10m")
    with Conversation(HERE, scene.node_port) as held:
        proxy.send(signal.SIGTERM)
        proxy.wait_for_event("draining")
        assert held.say(b"still") == b"still"
        proxy.send(number)
        with pytest.raises(ConnectionResetError):
            held.socket.recv(1)
    assert proxy.wait() == 0
    assert proxy.events("stopped")[0]["connections_cut"] == 1


def test_clients_whom_the_kernel_has_queued_are_served_before_it_ends(
    svcproxy: StartSvcproxy, scene: Scene, stack: ExitStack
) -> None:
    proxy = svcproxy(scene.manifests, "--grace", "10m")
    proxy.send(signal.SIGSTOP)
    queued = [stack.enter_context(connect(HERE, scene.node_port)) for _ in range(100)]
    proxy.send(signal.SIGTERM)
    proxy.send(signal.SIGCONT)
    for client in queued:
        assert client.recv(100) == b"a\n"
        client.close()
    assert proxy.wait() == 0


def test_a_signal_before_it_serves_ends_it_as_well(svcproxy: StartSvcproxy, scene: Scene) -> None:
    proxy = svcproxy(scene.manifests, wait=False)
    proxy.wait_for("serving healthz")
    assert proxy.stop() == 0


def keeps_hangups(pid: int) -> bool:
    """Whether a SIGHUP of this moment waits to be handled."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    (blocked,) = (line.split()[1] for line in status if line.startswith("SigBlk"))
    return bool(int(blocked, 16) >> (signal.SIGHUP - 1) & 1)


def test_a_hangup_while_it_starts_ends_nothing_and_is_heard(svcproxy: StartSvcproxy, scene: Scene) -> None:
    proxy = svcproxy(scene.manifests, wait=False)
    eventually(lambda: keeps_hangups(proxy.pid), "the first line of the program")
    proxy.send(signal.SIGHUP)
    proxy.wait_for_event("configuration reread")
    proxy.wait_until_serving()
    assert ask(HERE, scene.node_port) == "a"
    assert proxy.stop() == 0


@pytest.mark.parametrize("insists", [False, True])
def test_a_stopped_worker_keeps_nothing_from_its_end(svcproxy: StartSvcproxy, scene: Scene, insists: bool) -> None:
    configuration = {"workers": 2, "workerTimeout": "1s" if not insists else "10m"}
    proxy = svcproxy(scene.manifests, "--grace", "10m", configuration=configuration)
    proxy.workers()[0].suspend()
    proxy.send(signal.SIGTERM)
    if insists:
        eventually(lambda: proxy.get("/readyz", HEALTH_PORT)[0] == 503, "the beginning of the end")
        proxy.send(signal.SIGTERM)
    assert proxy.wait() == 0
