"""What the process writes: events on standard error, and one line a connection where that is asked for."""

import json
import re
import signal
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.dataplane.close_reason import CloseReason
from tests.system.harness.backends import StartBackends
from tests.system.harness.clients import ask, ask_udp, connect, receive_all
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import annotated, endpoint_slice, pod, port, service
from tests.system.harness.passage import Passage
from tests.system.harness.places import Places
from tests.system.harness.process import Event
from tests.system.harness.svcproxy import StartSvcproxy

HERE = "127.0.0.1"
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Ends = Callable[[socket.socket, socket.socket], None]


def test_every_line_is_an_event_in_json(svcproxy: StartSvcproxy, places: Places) -> None:
    node_port = places.node_port()
    proxy = svcproxy([service("web", port(80, nodePort=node_port), type="NodePort")])
    assert proxy.stop() == 0
    events = [json.loads(line) for line in proxy.stderr]
    assert all(list(event)[:3] == ["time", "level", "event"] for event in events)
    assert all(RFC_3339.fullmatch(event["time"]) for event in events)
    assert {event["level"] for event in events} <= {"info", "warning"}
    names = [event["event"] for event in events]
    assert [name for name in names if name in ("listening", "serving", "draining", "stopped")][-3:] == [
        "serving",
        "draining",
        "stopped",
    ]
    assert proxy.events("listening")[-1]["service"] == "default/web"
    assert proxy.events("serving")[0]["services"] == 1
    assert proxy.stdout == []


def test_lines_for_people_carry_the_same(svcproxy: StartSvcproxy, places: Places) -> None:
    node_port = places.node_port()
    web = service("web", port(80, nodePort=node_port), type="NodePort")
    proxy = svcproxy([web], "--log-format", "human", wait=False)
    line = proxy.wait_for(f"listening frontend=0.0.0.0:{node_port}/TCP")
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO  listening frontend=\S+ service=default/web", line)
    proxy.wait_for(" serving services=1")
    assert not any(line.startswith("{") for line in proxy.stderr)


def test_the_level_leaves_out_what_is_below_it(svcproxy: StartSvcproxy, places: Places) -> None:
    taken = places.node_port()
    with socket.create_server(("0.0.0.0", taken)):
        proxy = svcproxy(
            [service("web", port(80, nodePort=taken), type="NodePort")], "--log-level", "error", wait=False
        )
        proxy.wait_for("cannot listen on")
        assert {json.loads(line)["level"] for line in proxy.stderr} == {"error"}


def test_there_is_no_line_a_connection_unless_it_is_asked_for(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("a")
    node_port = places.node_port()
    web = service("web", port(80, nodePort=node_port), type="NodePort")
    proxy = svcproxy([web, endpoint_slice("web", [a.address], {"port": a.port})])
    assert ask(HERE, node_port) == "a"
    assert proxy.stop() == 0
    assert proxy.events("flow") == []


def test_a_flow_says_who_where_what_and_how_much(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    (a,) = echo_backends("pod-a")
    cluster_ip = places.cluster_ip()
    web = service("web", port(80, "echo"), clusterIP=cluster_ip, selector={"app": "web"})
    proxy = svcproxy([web, pod("pod-a", a.address, {"echo": a.port}, {"app": "web"})], "--access-log")
    with connect(cluster_ip, 80, "127.0.0.42") as client:
        client_port = client.getsockname()[1]
        client.sendall(b"x" * 1000)
        client.shutdown(socket.SHUT_WR)
        assert receive_all(client) == b"pod-a\n" + b"x" * 1000
    flow = proxy.wait_for_event("flow")
    expected = {
        "client": f"127.0.0.42:{client_port}",
        "service": "default/web",
        "frontend": f"{cluster_ip}:80/TCP",
        "endpoint": f"{a.address}:{a.port}",
        "bytesIn": 1000,
        "bytesOut": 1006,
        "reason": "client_closed",
    }
    assert expected.items() <= flow.items()
    assert "pod-a" in str(flow["pod"])
    assert 0 <= number(flow["connectMs"]) <= number(flow["durationMs"])


def number(value: object) -> float:
    assert isinstance(value, float | int)
    return value


def client_closes(client: socket.socket, backend: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)
    assert backend.recv(1) == b""
    backend.close()


def backend_closes(client: socket.socket, backend: socket.socket) -> None:
    client_closes(backend, client)


def client_resets(client: socket.socket, backend: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    client.close()


def backend_resets(client: socket.socket, backend: socket.socket) -> None:
    client_resets(backend, client)


def nobody_does_anything(client: socket.socket, backend: socket.socket) -> None:
    with pytest.raises(ConnectionResetError):
        client.recv(1)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (client_closes, CloseReason.CLIENT_CLOSED),
        (backend_closes, CloseReason.BACKEND_CLOSED),
        (client_resets, CloseReason.CLIENT_RESET),
        (backend_resets, CloseReason.BACKEND_RESET),
        (nobody_does_anything, CloseReason.IDLE_TIMEOUT),
    ],
)
def test_a_connection_ends_for_one_reason(
    svcproxy: StartSvcproxy, passage: Passage, end: Ends, reason: CloseReason
) -> None:
    web, endpoints = passage.manifests
    if reason is CloseReason.IDLE_TIMEOUT:
        web = annotated(web, idle_timeout="300ms")
    proxy = svcproxy([web, endpoints], "--access-log")
    end(*passage.open())
    proxy.wait_for_event("flow", reason=reason.value)
    assert len(proxy.events("flow")) == 1


@pytest.mark.parametrize(
    ("grace", "signals", "reason"),
    [
        ("200ms", [signal.SIGTERM], CloseReason.DRAIN_DEADLINE),
        ("10m", [signal.SIGTERM, signal.SIGINT], CloseReason.SHUTDOWN),
    ],
)
def test_the_end_of_the_proxy_is_a_reason(
    svcproxy: StartSvcproxy, passage: Passage, grace: str, signals: list[signal.Signals], reason: CloseReason
) -> None:
    proxy = svcproxy(passage.manifests, "--access-log", "--grace", grace)
    passage.open()
    for each in signals:
        proxy.send(each)
        proxy.wait_for_event("draining")
    assert proxy.wait() == 0
    assert [flow["reason"] for flow in proxy.events("flow")] == [reason.value]


def test_udp_flows_end_for_their_own_reasons(
    svcproxy: StartSvcproxy, places: Places, udp_backends: StartBackends
) -> None:
    (a,) = udp_backends("a")
    node_port = places.node_port()
    dns = service("dns", port(53, protocol="UDP", nodePort=node_port), type="NodePort")
    endpoints = endpoint_slice("dns", [a.address], {"port": a.port, "protocol": "UDP"})
    proxy = svcproxy([annotated(dns, idle_timeout="300ms"), endpoints], "--access-log")
    assert ask_udp(HERE, node_port, b"12345") == "a"
    flow: Event = proxy.wait_for_event("flow", reason="idle_timeout")
    assert (flow["bytesIn"], flow["bytesOut"]) == (5, 7)
    proxy.manifests.put(dns)
    eventually(lambda: not proxy.service("dns")["service"]["metadata"].get("annotations"), "the limit gone")
    assert ask_udp(HERE, node_port) == "a"
    proxy.manifests.remove(endpoints)
    proxy.wait_for_event("flow", reason="endpoint_removed")


def test_a_sample_of_none_tells_of_failures_alone(svcproxy: StartSvcproxy, passage: Passage) -> None:
    proxy = svcproxy(passage.manifests, "--access-log", "--access-log-sample", "0")
    client_closes(*passage.open())
    client_resets(*passage.open())
    assert proxy.wait_for_event("flow")["reason"] == "client_reset"
    assert len(proxy.events("flow")) == 1


def test_the_access_log_may_be_a_file_of_its_own(svcproxy: StartSvcproxy, passage: Passage, tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_text("an earlier line\n")
    proxy = svcproxy(passage.manifests, "--access-log", str(file))
    client_closes(*passage.open())
    earlier, line = eventually(lambda: two_lines(file), "the line")
    assert earlier == "an earlier line"
    assert json.loads(line)["reason"] == "client_closed"
    assert proxy.events("flow") == []


def two_lines(file: Path) -> list[str]:
    lines = file.read_text().splitlines()
    return lines if len(lines) == 2 else []
