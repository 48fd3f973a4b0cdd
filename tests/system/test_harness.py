"""The harness itself: that it notices an end, a text, an event, and leaves nothing behind."""

import http.client
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.lane import is_free
from tests.system.harness.backends import StartBackends
from tests.system.harness.manifests import ManifestDirectory, endpoint_slice, pod, port, service
from tests.system.harness.places import Places
from tests.system.harness.process import Process
from tests.system.harness.svcproxy import StartSvcproxy, environment_in, left_behind

SPEAK = """
import sys
print('{"event": "listening", "frontend": "a"}', file=sys.stderr, flush=True)
print('{"event": "listening", "frontend": "b", "extra": 1}', file=sys.stderr, flush=True)
print("on stdout", flush=True)
"""
STAY = SPEAK + "import signal; signal.pause()"


@pytest.fixture
def python(tmp_path: Path) -> Iterator[list[Process]]:
    started: list[Process] = []
    yield started
    for process in started:
        process.close()


def start(python: list[Process], tmp_path: Path, script: str) -> Process:
    process = Process([sys.executable, "-c", script], tmp_path, environment_in(tmp_path))
    python.append(process)
    return process


def test_waits_for_texts_and_events(python: list[Process], tmp_path: Path) -> None:
    process = start(python, tmp_path, STAY)
    assert process.wait_for("on std") == "on stdout"
    assert process.wait_for_event("listening", frontend="b")["extra"] == 1
    assert len(process.events("listening")) == 2


def test_an_end_is_noticed_at_once_and_shows_the_output(python: list[Process], tmp_path: Path) -> None:
    process = start(python, tmp_path, SPEAK)
    with pytest.raises(AssertionError, match=r"(?s)ended without the text 'never'.*on stdout"):
        process.wait_for("never", timeout=600)
    assert process.wait() == 0


def test_waiting_ends_with_its_time(python: list[Process], tmp_path: Path) -> None:
    process = start(python, tmp_path, STAY)
    process.wait_for("on stdout")
    with pytest.raises(AssertionError, match="waited without the event 'never'"):
        process.wait_for_event("never", timeout=0.01)


def test_stop_tells_the_exit_status(python: list[Process], tmp_path: Path) -> None:
    process = start(python, tmp_path, STAY)
    process.wait_for("on stdout")
    assert process.stop() == -signal.SIGTERM
    assert not psutil.pid_exists(process.pid)


def test_a_child_that_outlives_the_process_is_found_and_ended(python: list[Process], tmp_path: Path) -> None:
    child = (
        f"import subprocess; child = subprocess.Popen([{sys.executable!r}, '-c', 'import signal; signal.pause()'])\n"
    )
    process = start(python, tmp_path, child + "print(child.pid, flush=True); child.wait()")
    process.wait_for("")
    (orphan,) = process.close()
    assert orphan.pid == int(process.stdout[0])
    assert not orphan.is_running()


def test_files_left_behind_are_found(tmp_path: Path) -> None:
    environment = environment_in(tmp_path)
    assert left_behind(tmp_path) == []
    forgotten = Path(environment["TMPDIR"]) / "forgotten"
    forgotten.touch()
    assert left_behind(tmp_path) == [forgotten]


def test_places_are_unique_and_free() -> None:
    several = [Places() for _ in range(5)]
    addresses = [each.address() for each in several for _ in range(5)]
    assert len(set(addresses)) == 25
    assert len({each.service_range for each in several}) == 5
    node_port = several[0].node_port()
    assert is_free(node_port)
    with socket.create_server(("127.0.0.1", node_port)):
        assert not is_free(node_port)


def test_backends_answer_with_their_names(
    http_backends: StartBackends, echo_backends: StartBackends, udp_backends: StartBackends
) -> None:
    web, echo, datagrams = *http_backends("web"), *echo_backends("echo"), *udp_backends("datagrams")
    connection = http.client.HTTPConnection(web.address, web.port, timeout=10)
    for _ in range(2):
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"web\n"
    connection.close()
    assert web.connections == 1
    with socket.create_connection((echo.address, echo.port), timeout=10) as client, client.makefile("rwb") as stream:
        assert stream.readline() == b"echo\n"
        stream.write(b"hello\n")
        stream.flush()
        client.shutdown(socket.SHUT_WR)
        assert stream.read() == b"hello\n"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(b"hello", (datagrams.address, datagrams.port))
        assert client.recv(100) == b"datagrams:hello"


def test_closing_a_backend_cuts_its_connections(echo_backends: StartBackends) -> None:
    (echo,) = echo_backends("echo")
    with socket.create_connection((echo.address, echo.port), timeout=10) as client:
        assert client.recv(100) == b"echo\n"
        echo.close()
        assert client.recv(100) == b""
    assert is_free(echo.port, echo.address)


def test_manifests_are_replaced_whole(tmp_path: Path) -> None:
    directory = ManifestDirectory(tmp_path / "manifests")
    web = service("web", port(80, "http", nodePort=30080), type="NodePort")
    directory.put(web)
    before = os.stat(directory.file_of(web)).st_ino
    directory.put(web | {"spec": {}})
    assert os.stat(directory.file_of(web)).st_ino != before
    directory.remove(web)
    assert list(directory.path.iterdir()) == []


def test_a_proxy_serves_pods_and_slices(
    svcproxy: StartSvcproxy, places: Places, http_backends: StartBackends, udp_backends: StartBackends
) -> None:
    web, datagrams = *http_backends("web"), *udp_backends("datagrams")
    node_port, cluster_ip = places.node_port(), places.cluster_ip()
    proxy = svcproxy(
        [
            service("web", port(8000, "http", nodePort=node_port), type="NodePort", selector={"app": "web"}),
            pod("web-1", web.address, {"http": web.port}, {"app": "web"}),
            service("echo", port(7007, protocol="UDP"), clusterIP=cluster_ip),
            endpoint_slice("echo", [datagrams.address], {"port": datagrams.port, "protocol": "UDP"}),
        ]
    )
    proxy.wait_until_listening("TCP", "0.0.0.0", node_port)
    assert proxy.get("/readyz")[0] == 200
    connection = http.client.HTTPConnection("127.0.0.1", node_port, timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"web\n"
    connection.close()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(b"hello", (cluster_ip, 7007))
        assert client.recv(100) == b"datagrams:hello"
    assert proxy.stop() == 0
