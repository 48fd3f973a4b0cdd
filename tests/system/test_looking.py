"""get, describe and explain against a running proxy; what is explained is what a client then meets."""

import io
import json
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from proxy.bpf.bpf_error import BpfError
from proxy.bpf.namespace_link import linked_programs
from proxy.cli import main
from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import ask, connect, is_refused
from tests.system.harness.command import svcproxy_command
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import annotated, endpoint_slice, pod, port, service
from tests.system.harness.places import Places
from tests.system.harness.process import PATIENCE, Process
from tests.system.harness.svcproxy import METRICS_PORT, StartSvcproxy, Svcproxy, environment_in

HERE = "127.0.0.1"
GONE = ("DELETED", "gone")
CLIENTS = [f"127.0.0.{number}" for number in range(1, 11)]


class Scene:
    """A Service `web` of three echo backends on a node port, under a running proxy."""

    def __init__(self, directory: Path, start: StartSvcproxy, places: Places, backends: StartBackends) -> None:
        self._directory = directory
        self._start = start
        self.node_port = places.node_port()
        three = backends("a", "b", "c")
        self.pods = [pod(each.name, each.address, {"echo": each.port}, {"app": "web"}) for each in three]
        self.proxy: Svcproxy | None = None

    def serve(
        self,
        scheduler: str = "rr",
        affinity: str = "None",
        pods: bool = True,
        configuration: Mapping[str, object] | None = None,
        **spec: Any,
    ) -> None:
        ports = port(7007, "echo", nodePort=self.node_port)
        web = service("web", ports, type="NodePort", selector={"app": "web"}, sessionAffinity=affinity, **spec)
        manifests = [annotated(web, scheduler=scheduler), *(self.pods if pods else [])]
        self.proxy = self._start(manifests, configuration=configuration)

    def run(self, *arguments: str) -> tuple[int, str]:
        """Exit status and output of a command that looks at the proxy; run here, which spares its start."""
        assert self.proxy is not None
        server = f"{self.proxy.status_address}:{METRICS_PORT}"
        output = io.StringIO()
        status = main([*arguments, "--server", server], output, io.StringIO(), environment_in(self._directory))
        return status, output.getvalue()

    def explain(self, client: str, address: str = HERE) -> Any:
        _, output = self.run("explain", f"{address}:{self.node_port}", "--from", client, "-o", "json")
        return json.loads(output)[0]


@pytest.fixture
def scene(tmp_path: Path, svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends) -> Scene:
    return Scene(tmp_path, svcproxy, places, echo_backends)


@pytest.mark.parametrize(
    ("scheduler", "affinity"), [("rr", "None"), ("rr", "ClientIP"), ("sh", "None"), ("wlc", "None")]
)
def test_whom_explain_names_serves(scene: Scene, scheduler: str, affinity: str) -> None:
    scene.serve(scheduler, affinity)
    for client in CLIENTS[:4] * 2:
        explained = scene.explain(client)
        assert explained["verdict"] == "served"
        assert [each["chance"] for each in explained["endpoints"]] == [1.0]
        assert explained["endpoints"][0]["pod"] == ask(HERE, scene.node_port, client)


SEVERAL = [{"workers": 0}, {"workers": 3}]


@pytest.mark.parametrize("configuration", SEVERAL)
@pytest.mark.parametrize(
    ("scheduler", "affinity"), [("rr", "ClientIP"), ("sh", "None"), ("mh", "None"), ("fo", "None")]
)
def test_whom_explain_names_serves_whatever_the_number_of_workers(
    scene: Scene, scheduler: str, affinity: str, configuration: Mapping[str, object]
) -> None:
    scene.serve(scheduler, affinity, configuration=configuration)
    for client in CLIENTS[:3] * 2:
        explained = scene.explain(client)
        with connect(HERE, scene.node_port, client) as connection:
            assert connection.recv(100).decode().strip() == explained["endpoints"][0]["pod"]
            assert explained["endpoints"][0]["chance"] == 1.0
            (row,) = json.loads(scene.run("get", "conn", "web", "-o", "json")[1])
            assert explained["worker"] in (row["worker"], -1)
            assert explained["worker"] != -1 or scheduler == "fo"
        eventually(lambda: scene.run("get", "conn", "web", "-o", "name")[1] == "", "the end of the connection")


def test_where_the_kernel_chooses_the_worker_the_chances_are_told(scene: Scene) -> None:
    scene.serve(configuration={"workers": 3})
    for _ in range(4):
        explained = scene.explain(HERE)
        chances = {each["pod"]: each["chance"] for each in explained["endpoints"]}
        assert sum(chances.values()) == pytest.approx(1.0)
        assert ask(HERE, scene.node_port) in chances
        assert explained["worker"] == -1


def test_whom_explain_names_serves_through_shared_sockets(network_namespace: None, scene: Scene) -> None:
    try:
        linked_programs()
    except BpfError as error:
        pytest.skip(f"not permitted: {error}")
    scene.serve("sh", configuration={"workers": 2, "capture": "sklookup"})
    for client in CLIENTS[:3]:
        (endpoint,) = scene.explain(client)["endpoints"]
        assert endpoint["pod"] == ask(HERE, scene.node_port, client)


def test_explaining_changes_nothing(scene: Scene) -> None:
    scene.serve()
    asked = [ask(HERE, scene.node_port) for _ in range(3)]
    for _ in range(2):
        scene.explain(HERE)
    assert [ask(HERE, scene.node_port) for _ in range(3)] == asked


READING = (
    *("/", "/page/main.js", "/close-reasons", "/metrics", "/configz", "/proxyMode", "/livez", "/readyz", "/healthz"),
    *(
        f"/api/v1/{each}"
        for each in ("services", "services/default/web", "endpoints", "workers", "problems", "changes")
    ),
    *(f"/api/v1/{each}" for each in ("names", "connections", "affinity", "explain?namespace=default&service=web")),
)


@pytest.mark.parametrize("affinity", ["None", "ClientIP"])
def test_looking_changes_nothing(scene: Scene, affinity: str) -> None:
    scene.serve(affinity=affinity)
    assert scene.proxy is not None
    asked = [ask(HERE, scene.node_port) for _ in range(3)]
    before = held(scene)
    for path in READING * 2:
        assert scene.proxy.get(path)[0] == 200, path
    assert held(scene) == before
    assert [ask(HERE, scene.node_port) for _ in range(3)] == asked


def held(scene: Scene) -> list[tuple[str, str]]:
    """Which client is bound to which endpoint."""
    return [(each["client"], each["endpoint"]) for each in json.loads(scene.run("get", "aff", "-o", "json")[1])]


def test_who_is_refused_is_told_so(scene: Scene) -> None:
    scene.serve(pods=False)
    assert scene.explain(HERE)["verdict"] == "refused"
    assert is_refused(HERE, scene.node_port)
    assert scene.run("explain", f"{HERE}:{scene.node_port}")[0] == 1


def test_who_is_dropped_is_told_so_and_who_is_of_this_machine_as_well(scene: Scene) -> None:
    scene.pods = [each | {"spec": each["spec"] | {"nodeName": "elsewhere"}} for each in scene.pods]
    scene.serve(externalTrafficPolicy="Local")
    assert scene.explain("192.0.2.9")["verdict"] == "dropped"
    (*_, last) = scene.explain(HERE)["endpoints"]
    assert last["chance"] > 0
    connect(HERE, scene.node_port).close()


def test_connections_and_affinity_are_shown(scene: Scene) -> None:
    scene.serve(affinity="ClientIP")
    with connect(HERE, scene.node_port, "127.0.0.9") as client:
        name = client.recv(100).decode().strip()
        _, connections = scene.run("get", "connections", "web", "--no-headers")
        (row,) = [line.split() for line in connections.splitlines()]
        host, number = client.getsockname()
        assert row[:3] == ["web", "TCP", f"{host}:{number}"]
        assert (row[4], row[-1]) == (name, "open")
        _, affinity = scene.run("get", "affinity", "web", "--no-headers")
        (entry,) = [line.split() for line in affinity.splitlines()]
        assert (entry[0], entry[4]) == ("127.0.0.9", name)
        assert f"  {name} " in scene.run("describe", "svc", "web")[1].replace("   ", "  ")


def test_a_watch_follows_what_comes_and_goes(scene: Scene, tmp_path: Path) -> None:
    scene.serve()
    assert scene.proxy is not None
    command = [sys.executable, "-m", "proxy", "get", "--server", f"{scene.proxy.status_address}:{METRICS_PORT}"]
    watches = [
        Process([*command, *arguments, "--watch", "--output-watch-events"], tmp_path, environment_in(tmp_path))
        for arguments in (("svc",), ("conn", "web"))
    ]
    try:
        watches[0].wait_for("web")
        with connect(HERE, scene.node_port) as client:
            place = "{}:{}".format(*client.getsockname())
            assert watches[1].wait_for(place).startswith("ADDED")
        eventually(lambda: ends_of_last(watches[1], place) == GONE, "the connection's end")
        scene.proxy.manifests.remove(service("web", port(7007)))
        eventually(lambda: ends_of_last(watches[0], "web") == GONE, "the Service's end")
    finally:
        assert [orphan for watch in watches for orphan in watch.close()] == []


def ends_of_last(process: Process, word: str) -> tuple[str, str]:
    """The first and the last cell of the last line so far that has `word` in it."""
    cells = next(line.split() for line in reversed(process.stdout) if word in line)
    return cells[0], cells[-1]


def test_a_token_is_asked_for_and_read_from_a_file(tmp_path: Path, svcproxy: StartSvcproxy) -> None:
    (tmp_path / "token").write_text("secret")
    proxy = svcproxy([], "--admin-token-file", str(tmp_path / "token"))
    server = ("--server", f"{proxy.status_address}:{METRICS_PORT}")
    refused = svcproxy_command(tmp_path, "get", "workers", *server)
    assert (refused.returncode, "--token-file" in refused.stderr) == (2, True)
    assert (
        svcproxy_command(tmp_path, "get", "workers", *server, "--token-file", str(tmp_path / "token")).returncode == 0
    )


def test_a_udp_flow_that_is_there_goes_on(
    tmp_path: Path, svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends
) -> None:
    node_port = places.node_port()
    addresses = [each.address for each in udp_backends("a", "b", "c")]
    slices = endpoint_slice("dns", addresses, {"port": 7007, "protocol": "UDP"})
    proxy = svcproxy([service("dns", port(7007, protocol="UDP", nodePort=node_port), type="NodePort"), slices])
    server = ("--server", f"{proxy.status_address}:{METRICS_PORT}", "-o", "json")
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.bind((HERE, 0))
        client.settimeout(PATIENCE)
        client.sendto(b"hello", (HERE, node_port))
        client.recv(100)
        (row,) = json.loads(svcproxy_command(tmp_path, "get", "conn", "dns", *server).stdout)
        place = f"{HERE}:{client.getsockname()[1]}"
        explained = svcproxy_command(tmp_path, "explain", f"{HERE}:{node_port}/udp", "--from", place, *server)
        (report,) = json.loads(explained.stdout)
        assert [each["endpoint"] for each in report["endpoints"]] == [row["endpoint"]]
        assert "flow" in [step["name"] for step in report["steps"]]
        other = svcproxy_command(tmp_path, "explain", f"{HERE}:{node_port}/udp", "--from", HERE, *server)
        assert json.loads(other.stdout)[0]["endpoints"] != report["endpoints"]


def test_an_ipv6_address_is_explained_in_brackets(tmp_path: Path, svcproxy: StartSvcproxy, places: Places) -> None:
    node_port = places.node_port()
    ports = port(7007, nodePort=node_port)
    web = service("web", ports, type="NodePort", ipFamilyPolicy="SingleStack", ipFamilies=["IPv6"])
    proxy = svcproxy([web], configuration={"serviceClusterIPRange": [places.service_range, "fd00:96::/112"]})
    server = ("--server", f"{proxy.status_address}:{METRICS_PORT}", "-o", "json")
    done = svcproxy_command(tmp_path, "explain", f"[::1]:{node_port}", "--from", "::1", *server)
    (report,) = json.loads(done.stdout)
    assert (report["frontend"], report["verdict"]) == (f"[::]:{node_port}/TCP", "refused")
    assert is_refused("::1", node_port)


def test_the_commands_ask_a_unix_socket_while_the_address_asks_for_a_token(
    svcproxy: StartSvcproxy, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("secret")
    path = tmp_path / "admin.sock"
    proxy = svcproxy(
        [service("one", port(7007))],
        configuration={"adminTokenFile": str(tmp_path / "token"), "adminSocket": str(path)},
    )
    completed = svcproxy_command(tmp_path, "get", "svc", "-o", "name", "--server", f"unix:{path}")
    assert (completed.returncode, completed.stdout) == (0, "service/one\n")
    assert proxy.get("/api/v1/services")[0] == 401
    gone = svcproxy_command(tmp_path, "get", "svc", "--server", f"unix:{tmp_path / 'none'}")
    assert gone.returncode == 2
    assert "no svcproxy answers on unix:" in gone.stderr
