"""The demo as a newcomer meets it: one command, the printed lines, an edit, Ctrl-C."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proxy.demo.free_ports import can_bind
from proxy.demo.manifests import copy_manifests
from tests.lane import alone, is_free
from tests.system.harness.manifests import service
from tests.system.harness.places import Places
from tests.system.harness.process import Process
from tests.system.harness.svcproxy import METRICS_PORT, environment_in, left_behind

NODE_PORT = 30080
ROUNDS = 50
LOOP = f"while true; do curl http://127.0.0.1:{NODE_PORT}/hostname.html; sleep 1; done"
POD_PORTS = {"127.0.10.1": 8080, "127.0.20.1": 6379, "127.0.30.1": 7007}

StartDemo = Callable[..., Process]


@pytest.fixture(autouse=True)
def _ports_of_the_demo() -> Iterator[None]:
    """They are the same for everybody, so that these tests run one by one."""
    with alone("demo"):
        skip_unless_free()
        yield


def skip_unless_free() -> None:
    taken = [f"{address}:{port}" for address, port in POD_PORTS.items() if not is_free(port, address)]
    if taken or not is_free(NODE_PORT):
        pytest.skip(f"the demo's ports are taken on this machine: {', '.join(taken) or NODE_PORT}")


@pytest.fixture
def start_demo(tmp_path: Path, places: Places) -> Iterator[StartDemo]:
    started: list[Process] = []
    addresses = [f"--metrics-bind-address={places.address()}:{METRICS_PORT}"]

    def start(*flags: str, ready: bool = True) -> Process:
        command = [sys.executable, "-m", "proxy", "demo", "--shortcut", "off", *addresses, *flags]
        process = Process(command, tmp_path, environment_in(tmp_path))
        started.append(process)
        if ready:
            process.wait_for("Ctrl-C ends the demo.")
        return process

    yield start
    assert [orphan for process in started for orphan in process.close()] == []
    assert left_behind(tmp_path) == []
    assert is_free(NODE_PORT)


def shell(line: str) -> str:
    """What a line prints, run as a user would."""
    completed = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=50, check=True, stdin=subprocess.DEVNULL
    )
    return completed.stdout


def printed_line(demo: Process, beginning: str) -> str:
    """The line to try that begins so."""
    return next(line.strip() for line in demo.stdout if line.strip().startswith(beginning))


def names_seen(demo: Process, rounds: int = ROUNDS) -> Counter[str]:
    """The pods' names from the printed loop, made finite and without its pause."""
    loop = printed_line(demo, "while true")
    bounded = loop.replace("while true", f"for i in $(seq {rounds})").replace("sleep 1", ":")
    assert bounded != loop
    return Counter(shell(bounded).split())


@pytest.mark.requires("curl")
def test_the_printed_loop_goes_round_five_pods_evenly(start_demo: StartDemo) -> None:
    demo = start_demo()
    assert printed_line(demo, "while true") == LOOP
    seen = names_seen(demo)
    assert len(seen) == 5
    assert all(name.startswith("myapp-deploy-69b47bc96d-") for name in seen)
    assert set(seen.values()) == {ROUNDS // 5}
    assert shell(printed_line(demo, "curl")) == 'Hello MyApp | Version: v1 | <a href="hostname.html">Pod Name</a>\n'


@pytest.mark.requires("nc")
def test_the_printed_lines_reach_redis_and_echo(start_demo: StartDemo) -> None:
    demo = start_demo()
    assert shell(printed_line(demo, "echo PING")).splitlines()[-1] == "+PONG"
    assert shell(printed_line(demo, "echo hello over TCP")) == "hello over TCP\n"
    assert shell(printed_line(demo, "echo hello over UDP")) == "hello over UDP\n"


def test_the_printed_line_watches_it_in_a_terminal(start_demo: StartDemo) -> None:
    line = printed_line(start_demo(), sys.executable)
    assert " top --server " in line
    table = {row.split()[0]: row.split() for row in shell(f"{line} --once --delay 0.1").splitlines()}
    assert table["myapp"][-2:] == ["5", "serving"]


def test_every_printed_line_is_walked(start_demo: StartDemo) -> None:
    """What stands in a line of its own to be run begins with one of these, each of which has a test here."""
    walked = ("while true", "curl ", "echo ", "dig ", "export ", "kubectl ", "sed ", sys.executable)
    indented = [line for line in start_demo().stdout if line.startswith("  ") and line.strip()]
    assert [line for line in indented if not line.strip().startswith(walked)] == []


@pytest.mark.requires("dig")
def test_the_printed_lines_find_services_by_name(start_demo: StartDemo) -> None:
    demo = start_demo()
    line = printed_line(demo, "dig -t A myapp.default.svc.cluster.local.")
    table = next(each.split() for each in demo.stdout if each.startswith("myapp "))
    assert shell(f"{line} +short") == f"{table[2]}\n"
    headless = printed_line(demo, "dig -t A myapp-headless.default.svc.cluster.local.")
    assert sorted(shell(f"{headless} +short").split()) == [f"127.0.10.{number}" for number in range(1, 6)]


@pytest.mark.requires("dig", "kubectl")
def test_every_type_of_name_is_answered_and_follows_what_kubectl_does(start_demo: StartDemo, tmp_path: Path) -> None:
    demo = start_demo("--state-dir", str(tmp_path / "state"))
    first = f"export HOME={tmp_path / 'kubectl'}; {printed_line(demo, 'export KUBECONFIG=')}"
    server = printed_line(demo, "dig -t A myapp-headless").partition("@")[2]
    zone = "default.svc.cluster.local."
    pods = [f"127.0.10.{number}" for number in range(1, 6)]

    def dig(*words: str) -> list[str]:
        return shell(" ".join(("dig", "+short", *words, f"@{server}"))).splitlines()

    (address,) = dig("-t", "A", f"myapp.{zone}")
    assert dig("-t", "AAAA", f"myapp.{zone}") == []
    assert dig("-t", "SRV", f"_http._tcp.myapp.{zone}") == [f"0 100 80 myapp.{zone}"]
    assert len(dig("-t", "SRV", f"_http._tcp.myapp-headless.{zone}")) == 5
    assert dig("-x", address) == [f"myapp.{zone}"]
    assert dig("-x", pods[0]) == [f"127-0-10-1.myapp-headless.{zone}"]
    assert dig("-t", "TXT", "dns-version.cluster.local.") == ['"1.1.0"']
    for flag in ("+tcp", "+bufsize=512"):
        assert sorted(dig(flag, f"myapp-headless.{zone}")) == pods
    shell(f"{first}; kubectl delete pod myapp-deploy-69b47bc96d-4hxxw")
    wait_until(lambda: sorted(dig(f"myapp-headless.{zone}")) == pods[1:])
    outside = tmp_path / "outside.json"
    outside.write_text(json.dumps(service("outside", type="ExternalName", externalName="a.example")))
    shell(f"{first}; kubectl apply -f {outside}")
    wait_until(lambda: dig("-t", "CNAME", f"outside.{zone}") == ["a.example."])


def test_redis_speaks_first_through_its_cluster_ip(start_demo: StartDemo) -> None:
    demo = start_demo()
    address = printed_line(demo, "echo PING").split()[-2]
    with socket.create_connection((address, 6379), timeout=10) as client, client.makefile("rb") as stream:
        assert stream.readline().startswith(b"+OK redis-demo ready")


def test_the_table_is_kubectls(start_demo: StartDemo) -> None:
    demo = start_demo()
    table = {
        line.split()[0]: line.split() for line in demo.stdout if line.startswith(("NAME", "echo ", "myapp", "redis"))
    }
    assert table["NAME"] == ["NAME", "TYPE", "CLUSTER-IP", "PORT(S)"]
    assert table["myapp"][1] == "NodePort"
    assert table["myapp"][3] == f"80:{NODE_PORT}/TCP"
    assert table["myapp-headless"][2] == "None"
    assert table["redis"][3] == "6379/TCP"
    assert table["echo"][3] == "7007/TCP,7007/UDP"


@pytest.mark.requires("curl", "kubectl")
def test_the_printed_lines_for_kubectl_switch_the_loop(start_demo: StartDemo, tmp_path: Path) -> None:
    demo = start_demo("--state-dir", str(tmp_path / "state"))
    first = f"export HOME={tmp_path / 'kubectl'}; {printed_line(demo, 'export KUBECONFIG=')}"
    assert f"80:{NODE_PORT}/TCP" in shell(f"{first}; {printed_line(demo, 'kubectl get svc')}")
    assert "+ 2 more..." in shell(f"{first}; {printed_line(demo, 'kubectl describe svc myapp')}")
    patch = f"{first}; {printed_line(demo, 'kubectl patch svc myapp')}"
    assert shell(patch) == "service/myapp patched\n"
    wait_until(lambda: len(names_seen(demo, 10)) == 1)
    assert len(names_seen(demo)) == 1
    assert shell(patch) == "service/myapp patched (no change)\n"
    shell(patch.replace("ClientIP", "None"))
    wait_until(lambda: len(names_seen(demo, 10)) == 5)
    assert set(names_seen(demo).values()) == {ROUNDS // 5}


@pytest.mark.requires("curl", "kubectl", "sed")
def test_a_changed_file_replaces_what_kubectl_made_of_it(start_demo: StartDemo, tmp_path: Path) -> None:
    demo = start_demo("--state-dir", str(tmp_path / "state"))
    first = f"export HOME={tmp_path / 'kubectl'}; {printed_line(demo, 'export KUBECONFIG=')}"
    shell(f"{first}; {printed_line(demo, 'kubectl patch svc myapp')}")
    wait_until(lambda: len(names_seen(demo, 10)) == 1)
    shell(f"sed -i 's/port: 80$/port: 81/' {tmp_path / 'state' / 'manifests' / 'myapp.yaml'}")
    wait_until(lambda: len(names_seen(demo, 10)) == 5)


def test_a_taken_api_port_gets_one_line_with_the_way_round(start_demo: StartDemo, places: Places) -> None:
    address = places.address()
    with socket.create_server((address, 6443)):
        demo = start_demo(f"--api-bind-address={address}:6443", ready=False)
        assert demo.wait() == 2
    (line,) = demo.stderr
    assert f"cannot serve the Kubernetes API on {address}:6443" in line
    assert "--api-bind-address" in line
    assert demo.stdout == []


@pytest.mark.requires("curl", "sed")
def test_the_printed_edit_makes_the_loop_stay_and_undoing_it_go_round(start_demo: StartDemo, tmp_path: Path) -> None:
    demo = start_demo("--state-dir", str(tmp_path / "state"))
    edit = printed_line(demo, "sed -i")
    assert shlex.split(edit)[-1] == str(tmp_path / "state" / "manifests" / "myapp.yaml")
    shell(edit)
    wait_until(lambda: len(names_seen(demo, 10)) == 1)
    assert len(names_seen(demo)) == 1
    shell(edit.replace("None/y: ClientIP", "ClientIP/y: None"))
    wait_until(lambda: len(names_seen(demo, 10)) == 5)
    assert set(names_seen(demo).values()) == {ROUNDS // 5}


def wait_until(condition: Callable[[], bool]) -> None:
    """Try `condition` a bounded number of times; each try is itself traffic, so nothing sleeps."""
    assert any(condition() for _ in range(100))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_cleanly_with_status_0(start_demo: StartDemo, number: signal.Signals) -> None:
    demo = start_demo()
    assert demo.stop(number) == 0
    assert not any("Traceback" in line for line in demo.stderr)
    assert is_free(POD_PORTS["127.0.10.1"], "127.0.10.1")


def test_taken_ports_are_passed_over(start_demo: StartDemo) -> None:
    with socket.create_server(("0.0.0.0", NODE_PORT)), socket.create_server(("127.0.10.1", 8080)):
        demo = start_demo()
        assert f":{NODE_PORT}/" not in printed_line(demo, "while true")
        assert len(names_seen(demo, 10)) == 5


@pytest.mark.requires("curl")
def test_it_ends_with_what_was_served(start_demo: StartDemo) -> None:
    demo = start_demo()
    names_seen(demo, 10)
    assert demo.stop(signal.SIGINT) == 0
    assert demo.stdout[demo.stdout.index("Served:") :] == [
        *("Served:", ""),
        *("  myapp: 10 requests, by pod: 2, 2, 2, 2, 2", "  redis: 0 connections"),
        "  echo: 0 connections and datagrams",
    ]


def test_a_second_demo_names_the_first(start_demo: StartDemo) -> None:
    first = start_demo()
    second = start_demo("--metrics-bind-address=127.0.0.1:0")
    assert second.stdout[0] == f"Another demo runs (pid {first.pid}); this one has other ports."


@pytest.mark.requires("curl", "kubectl")
def test_an_empty_demo_takes_the_classic_manifest_without_a_warning(start_demo: StartDemo, tmp_path: Path) -> None:
    demo = start_demo("--empty", "--state-dir", str(tmp_path / "state"))
    if not can_bind("TCP", "127.0.10.1", 80) and os.geteuid() != 0:
        pytest.skip("port 80 is not permitted")
    first = f"export HOME={tmp_path / 'kubectl'}; {printed_line(demo, 'export KUBECONFIG=')}"
    shell(f"{first}; {printed_line(demo, 'kubectl create service')}")
    number = shell(f"{first}; kubectl get svc myapp -o jsonpath='{{.spec.ports[0].nodePort}}'")
    loop = f"curl -s --max-time 5 http://127.0.0.1:{number}/hostname.html || true"
    wait_until(lambda: shell(loop).startswith("myapp-deploy-"))


@pytest.mark.requires("kubectl")
def test_kubectl_apply_warns_of_nothing(start_demo: StartDemo, tmp_path: Path) -> None:
    demo = start_demo("--state-dir", str(tmp_path / "state"))
    first = f"export HOME={tmp_path / 'kubectl'}; {printed_line(demo, 'export KUBECONFIG=')}"
    said = shell(f"{first}; kubectl apply -f {tmp_path / 'state' / 'manifests'} 2>&1")
    assert "arning" not in said


def test_a_node_port_that_was_asked_for_and_is_taken_gets_one_line_with_the_way_round(start_demo: StartDemo) -> None:
    with socket.create_server(("0.0.0.0", NODE_PORT)):
        demo = start_demo("--node-port", str(NODE_PORT), ready=False)
        assert demo.wait() == 1
    (line,) = demo.stderr
    assert line.startswith(f"svcproxy: port 0.0.0.0:{NODE_PORT}/TCP is taken by ")
    assert f"(pid {os.getpid()})" in line
    assert "svcproxy demo --node-port" in line
    assert demo.stdout == []


def test_a_taken_port_of_a_kept_copy_gets_one_line_with_the_way_round(start_demo: StartDemo, tmp_path: Path) -> None:
    copy_manifests(tmp_path / "state" / "manifests")
    with socket.create_server(("127.0.10.1", 8080)):
        demo = start_demo("--state-dir", str(tmp_path / "state"), ready=False)
        assert demo.wait() == 1
    (line,) = demo.stderr
    assert line.startswith("svcproxy: port 127.0.10.1:8080/TCP is taken by ")
    assert "--state-dir" in line


def test_another_node_port_serves_instead(start_demo: StartDemo, places: Places) -> None:
    other = 30000 + places.node_port() % 2768
    demo = start_demo("--node-port", str(other))
    assert str(other) in printed_line(demo, "while true")
    with socket.create_connection(("127.0.0.1", other), timeout=10) as client, client.makefile("rb") as stream:
        client.sendall(b"GET /hostname.html HTTP/1.0\r\n\r\n")
        assert stream.read().splitlines()[-1].startswith(b"myapp-deploy-")
