"""The shortcut of the real program: curl, changes, a killed worker and control process, pins, a machine without it."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.shortcut.cgroups import cgroup2_mount
from tests.system.harness.backends import Backend, StartBackends
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

Run = Callable[..., str]
HOOKS = {"connect4", "connect6", "sendmsg4", "sendmsg6", "recvmsg4", "recvmsg6", "getpeername4", "getpeername6"}


@pytest.fixture
def cgroup(tmp_path: Path) -> Iterator[Path]:
    """A cgroup for clients; never the root."""
    mount = cgroup2_mount()
    if mount is None or os.geteuid() != 0:
        pytest.skip("not permitted: a cgroup")
    path = mount / f"svcproxy-system-{os.getpid()}-{tmp_path.name}"
    path.mkdir()
    yield path
    eventually(lambda: not (path / "cgroup.procs").read_text(), "the clients' end")
    path.rmdir()


@pytest.fixture
def inside(cgroup: Path) -> Run:
    """Runs a shell line in the cgroup; gives what it printed."""

    def run(line: str) -> str:
        command = ["sh", "-c", f'echo $$ > "{cgroup}/cgroup.procs"; {line}']
        return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False).stdout

    return run


class Scene:
    """`web` on a ClusterIP and a node port, in front of backends."""

    def __init__(self, places: Places, backends: list[Backend]) -> None:
        self.backends = backends
        self.cluster_ip = places.cluster_ip()
        self.node_port = places.node_port()

    def manifests(self, *backends: Backend, **spec: object) -> list[Manifest]:
        used = backends or tuple(self.backends)
        made = service(
            "web",
            port(80, nodePort=self.node_port),
            type="NodePort",
            clusterIP=self.cluster_ip,
            **spec,
        )
        return [made, endpoint_slice("web", [each.address for each in used], {"port": used[0].port})]

    def accepted(self) -> int:
        return sum(each.connections for each in self.backends)


@pytest.fixture
def scene(places: Places, http_backends: StartBackends) -> Scene:
    return Scene(places, http_backends("a", "b", "c"))


def counted(proxy: Svcproxy, name: str) -> float:
    """The sum of a metric's series."""
    lines = proxy.get("/metrics")[1].splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith((f"{name} ", f"{name}{{")))


@pytest.mark.requires("curl")
def test_curl_goes_round_and_sees_the_services_address(
    svcproxy: StartSvcproxy, scene: Scene, cgroup: Path, inside: Run
) -> None:
    proxy = svcproxy(scene.manifests(), "--shortcut", str(cgroup))
    loop = f"for i in 1 2 3 4 5 6; do curl -s -w '%{{remote_ip}}\\n' http://{scene.cluster_ip}/; done"
    answers = inside(loop).split()
    assert Counter(answers[::2]) == {"a": 2, "b": 2, "c": 2}
    assert set(answers[1::2]) == {scene.cluster_ip}
    assert inside(f"curl -s http://127.0.0.1:{scene.node_port}/").strip() in "abc"
    eventually(lambda: counted(proxy, "svcproxy_connections_opened_total") == 7, "seven counted connections")
    # A relay measures how long a connect takes. It saw none of them.
    assert counted(proxy, "svcproxy_connect_duration_seconds_count") == 0
    paths = {tuple(each["paths"]) for each in proxy.service("web")["frontends"]}
    assert paths == {("shortcut", "relay")}


@pytest.mark.requires("curl")
def test_a_client_outside_the_cgroup_is_relayed(svcproxy: StartSvcproxy, scene: Scene, cgroup: Path) -> None:
    proxy = svcproxy(scene.manifests(), "--shortcut", str(cgroup))
    answer = subprocess.run(
        ["curl", "-s", f"http://{scene.cluster_ip}/"], capture_output=True, text=True, timeout=20, check=True
    )
    assert answer.stdout.strip() in "abc"
    eventually(lambda: counted(proxy, "svcproxy_connect_duration_seconds_count") == 1, "one relayed connection")


@pytest.mark.requires("curl")
def test_a_saved_change_is_in_force_for_the_next_client(
    svcproxy: StartSvcproxy, scene: Scene, cgroup: Path, inside: Run
) -> None:
    proxy = svcproxy(scene.manifests(), "--shortcut", str(cgroup))
    (b,) = (each for each in scene.backends if each.name == "b")
    proxy.manifests.put(*scene.manifests(b))
    eventually(lambda: list(proxy.endpoints("web")) == [f"{b.address}:{b.port}"], "one endpoint")
    loop = f"for i in 1 2 3 4; do curl -s http://{scene.cluster_ip}/; done"
    assert inside(loop).split() == ["b"] * 4
    proxy.manifests.put(*scene.manifests(sessionAffinity="ClientIP"))
    eventually(lambda: len(proxy.endpoints("web")) == 3, "three endpoints")
    assert len(set(inside(loop).split())) == 1


@pytest.mark.requires("curl")
def test_a_service_that_needs_the_relay_is_relayed_and_says_why(
    svcproxy: StartSvcproxy, scene: Scene, cgroup: Path, inside: Run
) -> None:
    manifests = scene.manifests()
    manifests[0]["metadata"]["annotations"] = {"svcproxy.io/connect-timeout": "2s"}
    proxy = svcproxy(manifests, "--shortcut", str(cgroup))
    assert inside(f"curl -s http://{scene.cluster_ip}/").strip() in "abc"
    (frontend, *_) = proxy.service("web")["frontends"]
    assert frontend["paths"] == ["relay"]
    assert frontend["pathReasons"] == [
        "shortcut: only the relay has what the Service asks for: svcproxy.io/connect-timeout"
    ]


def requests_in(cgroup: Path, address: str, times: int) -> "subprocess.Popen[str]":
    """A client in the cgroup that makes so many requests, each on a connection of its own, and prints what came."""
    code = (
        "import os, socket, sys\n"
        f"open({str(cgroup / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
        f"for _ in range({times}):\n"
        "    try:\n"
        f"        with socket.create_connection(({address!r}, 80), timeout=10) as s:\n"
        "            s.sendall(b'GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')\n"
        "            data = b''\n"
        "            while piece := s.recv(4096):\n"
        "                data += piece\n"
        "            print('ok' if data.startswith(b'HTTP/1.1 200') else data[:40])\n"
        "    except OSError as error:\n"
        "        print(repr(error))\n"
    )
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def test_no_request_fails_while_a_worker_is_killed(svcproxy: StartSvcproxy, scene: Scene, cgroup: Path) -> None:
    proxy = svcproxy(scene.manifests(), "--shortcut", str(cgroup))
    client = requests_in(cgroup, scene.cluster_ip, 400)
    eventually(lambda: scene.accepted() > 50, "some requests")
    proxy.workers()[0].kill()
    output, _ = client.communicate(timeout=50)
    assert Counter(output.splitlines()) == {"ok": 400}


@pytest.fixture
def pins(tmp_path: Path) -> Iterator[Path]:
    """A directory of a bpffs of the test's own."""
    mount = tmp_path / "bpffs"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "bpf", "bpf", str(mount)], check=False, timeout=20).returncode:
        pytest.skip("not permitted: a bpffs")
    yield mount / "svcproxy"
    subprocess.run(["umount", str(mount)], check=True, timeout=20)


@pytest.mark.timeout(120)
def test_no_request_of_five_thousand_fails_over_a_kill_and_a_restart_with_pins(
    svcproxy: StartSvcproxy, scene: Scene, cgroup: Path, pins: Path
) -> None:
    settings = {"shortcutPins": str(pins)}
    first = svcproxy(scene.manifests(), "--shortcut", str(cgroup), configuration=settings)
    client = requests_in(cgroup, scene.cluster_ip, 5000)
    eventually(lambda: scene.accepted() > 200, "some requests")
    first.send(signal.SIGKILL)
    first.wait()
    seen = scene.accepted()
    eventually(lambda: scene.accepted() > seen + 200, "requests while nobody is there")
    svcproxy(first.manifests, "--shortcut", str(cgroup), configuration=settings)
    output, _ = client.communicate(timeout=100)
    assert Counter(output.splitlines()) == {"ok": 5000}


def test_a_regular_end_leaves_no_pin_and_an_unpinned_kill_leaves_nothing_attached(
    svcproxy: StartSvcproxy, scene: Scene, cgroup: Path, pins: Path
) -> None:
    proxy = svcproxy(scene.manifests(), "--shortcut", str(cgroup), configuration={"shortcutPins": str(pins)})
    assert {each.name for each in pins.iterdir()} >= HOOKS
    proxy.send(signal.SIGTERM)
    assert proxy.wait() == 0
    assert list(pins.iterdir()) == []
    killed = svcproxy(proxy.manifests, "--shortcut", str(cgroup))
    killed.send(signal.SIGKILL)
    killed.wait()
    client = requests_in(cgroup, scene.cluster_ip, 1)
    output, _ = client.communicate(timeout=50)
    assert "ConnectionRefusedError" in output


@pytest.mark.requires("setpriv")
@pytest.mark.parametrize(
    ("flags", "capabilities", "words"),
    [
        (("--shortcut", "auto"), "-bpf,-sys_admin", "shortcut: it needs CAP_BPF: run as root, or grant them"),
        (("--shortcut", "/no/such"), "", "shortcut: /no/such: there is no such directory"),
    ],
)
def test_where_it_cannot_be_had_one_line_says_so_and_the_relay_serves(
    svcproxy: StartSvcproxy, scene: Scene, flags: tuple[str, ...], capabilities: str, words: str
) -> None:
    without = ["setpriv", f"--bounding-set={capabilities}", f"--inh-caps={capabilities}"] if capabilities else []
    proxy = svcproxy(scene.manifests(), *flags, under=without)
    (line,) = [str(event["event"]) for line in proxy.stderr if "shortcut" in line for event in [json.loads(line)]]
    assert line.startswith(words)
    assert line.endswith("; the relay serves everybody")
    client = subprocess.run(
        ["curl", "-s", f"http://{scene.cluster_ip}/"], capture_output=True, text=True, timeout=20, check=True
    )
    assert client.stdout.strip() in "abc"
