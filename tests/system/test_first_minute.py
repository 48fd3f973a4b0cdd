"""The first minute: processes behind one address without a manifest, and a manifest that is one file."""

import json
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.harness.backends import StartBackends
from tests.system.harness.manifests import pod, port, service
from tests.system.harness.places import Places
from tests.system.harness.process import Process
from tests.system.harness.svcproxy import environment_in

Run = Callable[..., Process]


@pytest.fixture
def run(tmp_path: Path, places: Places) -> Iterator[Run]:
    """Runs `svcproxy run` with flags and variables alone."""
    started: list[Process] = []
    own = {
        "SVCPROXY_STATE_DIR": str(tmp_path / "state"),
        "SVCPROXY_METRICS_BIND_ADDRESS": "127.0.0.1:0",
        "SVCPROXY_HEALTHZ_BIND_ADDRESS": "127.0.0.1:0",
        "SVCPROXY_API_BIND_ADDRESS": "127.0.0.1:0",
        "SVCPROXY_LOG_FORMAT": "json",
        "SVCPROXY_WORKERS": "1",
        "SVCPROXY_DNS": "off",
    }

    def start(*flags: str, **variables: str) -> Process:
        environment = {**environment_in(tmp_path), **own, **variables}
        process = Process([sys.executable, "-m", "proxy", "run", *flags], tmp_path, environment)
        started.append(process)
        process.wait_for_event("serving")
        return process

    yield start
    assert [orphan for process in started for orphan in process.close()] == []


def name_at(address: str, number: int) -> str:
    with socket.create_connection((address, number), timeout=10) as client, client.makefile("rb") as stream:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return stream.read().split()[-1].decode()


@pytest.mark.parametrize("flags", [(), ("--standalone",)], ids=["manifests", "standalone"])
def test_three_processes_have_one_address_without_a_manifest(
    run: Run, places: Places, http_backends: StartBackends, flags: tuple[str, ...]
) -> None:
    backends = http_backends("a", "b", "c")
    number = places.node_port()
    endpoints = ",".join(f"{each.address}:{each.port}" for each in backends)
    proxy = run("--service", f"web:{number}={endpoints}", *flags)
    proxy.wait_for(f"http://127.0.0.1:{number}")
    assert sorted(name_at("127.0.0.1", number) for _ in range(3)) == ["a", "b", "c"]
    assert str(proxy.wait_for_event("look at it in a browser")["url"]).startswith("http://127.0.0.1:")
    assert proxy.stop() == 0


def test_udp_has_one_too_and_a_variable_may_say_so(run: Run, places: Places, udp_backends: StartBackends) -> None:
    (backend,) = udp_backends("a")
    number = places.node_port()
    proxy = run(SVCPROXY_SERVICE=f"dns:{number}/udp={backend.address}:{backend.port}")
    proxy.wait_for(f"127.0.0.1:{number}/udp")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(10)
        client.sendto(b"hello", ("127.0.0.1", number))
        assert client.recv(100) == b"a:hello"


def test_a_file_is_served_and_followed(run: Run, places: Places, tmp_path: Path, http_backends: StartBackends) -> None:
    (backend,) = http_backends("a")
    first, second = places.node_port(), places.node_port()
    file = tmp_path / "one.yaml"

    def write(number: int) -> None:
        web = service("web", port(80, nodePort=number, targetPort=8080), selector={"app": "web"}, type="NodePort")
        items = [web, pod("a", backend.address, {"http": 8080}, {"app": "web"})]
        file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    write(first)
    proxy = run(str(file), SVCPROXY_NODE_PORT_ADDRESSES="127.0.0.0/8", SVCPROXY_CONFIG=str(ranges(tmp_path, places)))
    assert name_at("127.0.0.1", first) == "a"
    write(second)
    proxy.wait_for_event("listening", frontend=f"127.0.0.1:{second}/TCP")
    assert name_at("127.0.0.1", second) == "a"


def ranges(directory: Path, places: Places) -> Path:
    """A configuration with this test's own node ports."""
    path = directory / "ranges.yaml"
    path.write_text(
        "apiVersion: svcproxy.io/v1alpha1\nkind: ProxyConfiguration\n"
        f'nodePortRange: "{places.node_port_range}"\nserviceClusterIPRange: {places.service_range}\n'
    )
    return path


def test_with_no_service_it_says_what_to_do_next(run: Run, tmp_path: Path) -> None:
    (tmp_path / "manifests").mkdir()
    proxy = run(str(tmp_path / "manifests"))
    said = proxy.wait_for_event("there is no Service yet")
    assert said["next"] == f"save one below {tmp_path / 'manifests'}; svcproxy init DIR writes an example"


def test_standalone_says_how_a_pod_is_made(run: Run) -> None:
    proxy = run("--standalone")
    assert "kubectl create service" in str(proxy.wait_for_event("there is no Service yet")["next"])
    assert "kubectl run web-1" in str(proxy.wait_for_event("a Pod is any process of this machine")["next"])
