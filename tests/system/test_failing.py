"""A Service whose endpoints all refuse: said wherever one looks, until a connect succeeds again."""

import io
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from proxy.cli import main
from proxy.shortcut.cgroups import cgroup2_mount
from tests.system.harness.backends import echo_backend, udp_backend
from tests.system.harness.clients import ask, ask_udp, is_udp_refused
from tests.system.harness.eventually import eventually
from tests.system.harness.kubectl import Kubectl
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import METRICS_PORT, StartSvcproxy, Svcproxy, environment_in

HERE = "127.0.0.1"
PORT = 7007
LINE = "2 of 2 endpoints refuse connections: check targetPort"
Looking = Callable[..., str]


class Scene:
    """`web` on a ClusterIP and a node port, with two endpoints where nobody listens yet."""

    def __init__(self, places: Places) -> None:
        self.addresses = [places.address(), places.address()]
        self.cluster_ip, self.node_port = places.cluster_ip(), places.node_port()

    def manifests(self, protocol: str = "TCP") -> list[Manifest]:
        ports = port(80, protocol=protocol, nodePort=self.node_port)
        endpoints = endpoint_slice("web", self.addresses, {"port": PORT, "protocol": protocol})
        return [service("web", ports, type="NodePort", clusterIP=self.cluster_ip), endpoints]


@pytest.fixture
def scene(places: Places) -> Scene:
    return Scene(places)


def look(proxy: Svcproxy, directory: Path, *arguments: str) -> str:
    output = io.StringIO()
    server = f"{proxy.status_address}:{METRICS_PORT}"
    main([*arguments, "--server", server], output, io.StringIO(), environment_in(directory))
    return output.getvalue()


def is_reset(address: str, port: int) -> bool:
    """Whether a connection comes to nothing, as it does where no endpoint takes it."""
    try:
        return ask(address, port) == ""
    except (ConnectionRefusedError, ConnectionResetError):
        return True


@pytest.mark.parametrize("workers", [0, 2])
def test_it_is_said_everywhere_and_ends_when_a_connect_succeeds(
    svcproxy: StartSvcproxy, scene: Scene, tmp_path: Path, workers: int
) -> None:
    proxy = svcproxy(scene.manifests(), configuration={"workers": workers})

    def state() -> str:
        return look(proxy, tmp_path, "get", "svc", "--no-headers")

    assert state().rstrip().endswith("serving")
    assert is_reset(HERE, scene.node_port)
    eventually(lambda: f"failing: {LINE}" in state(), "the state")
    described = look(proxy, tmp_path, "describe", "svc", "web")
    assert described.count(LINE) == 2, described
    proxy.wait_for_event(f"Service default/web: {LINE}", level="warning")
    assert "svcproxy_failing_services 1.0" in proxy.get("/metrics")[1]
    assert LINE in proxy.get("/api/v1/problems")[1]
    with echo_backend("a", scene.addresses[1], PORT):
        assert ask(HERE, scene.node_port) == "a"
        eventually(lambda: state().rstrip().endswith("serving"), "the end of it")
    assert "svcproxy_failing_services 0.0" in proxy.get("/metrics")[1]


def test_datagrams_that_are_refused_count_as_well(svcproxy: StartSvcproxy, scene: Scene, tmp_path: Path) -> None:
    proxy = svcproxy(scene.manifests("UDP"))

    def state() -> str:
        assert is_udp_refused(HERE, scene.node_port) is not None
        return look(proxy, tmp_path, "get", "svc", "--no-headers")

    eventually(lambda: "failing: 2 of 2 endpoints refuse datagrams: check targetPort" in state(), "the state")
    with ExitStack() as stack:
        for name, address in zip("ab", scene.addresses, strict=True):
            stack.enter_context(udp_backend(name, address, PORT))
        assert ask_udp(HERE, scene.node_port) in "ab"
        eventually(lambda: state().rstrip().endswith("serving"), "the end of it")


@pytest.fixture
def cgroup(tmp_path: Path) -> Iterator[Path]:
    """A cgroup for clients; never the root."""
    mount = cgroup2_mount()
    if mount is None or os.geteuid() != 0:
        pytest.skip("not permitted: a cgroup")
    path = mount / f"svcproxy-failing-{os.getpid()}-{tmp_path.name}"
    path.mkdir()
    yield path
    eventually(lambda: not (path / "cgroup.procs").read_text(), "the clients' end")
    path.rmdir()


@pytest.mark.requires("curl")
def test_clients_of_the_shortcut_count_as_well(
    svcproxy: StartSvcproxy, scene: Scene, cgroup: Path, tmp_path: Path
) -> None:
    proxy = svcproxy(scene.manifests(), "--shortcut", str(cgroup))
    line = f'echo $$ > "{cgroup}/cgroup.procs"; exec curl -s -m 5 telnet://{scene.cluster_ip}:80 < /dev/null'

    def connect() -> str:
        return subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=20, check=False).stdout

    def state() -> str:
        assert connect() in ("", "a\n", "b\n")
        return look(proxy, tmp_path, "get", "svc", "--no-headers")

    eventually(lambda: f"failing: {LINE}" in state(), "the state")
    assert "refusing" in look(proxy, tmp_path, "get", "endpoints")
    with ExitStack() as stack:
        for name, address in zip("ab", scene.addresses, strict=True):
            stack.enter_context(echo_backend(name, address, PORT))
        eventually(lambda: state().rstrip().endswith("serving"), "the end of it")


@pytest.mark.requires("kubectl")
def test_the_author_of_the_service_learns_it_from_an_event(
    standalone: Svcproxy, kubectl: Kubectl, scene: Scene
) -> None:
    kubectl.apply(*scene.manifests())
    eventually(
        lambda: is_reset(HERE, scene.node_port) and LINE in kubectl("describe", "svc", "web"), "the Event of a refusal"
    )
