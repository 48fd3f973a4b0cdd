"""Backends that die, refuse or do not answer: the client meets another one, or learns what happened."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from proxy.schedulers.registry import SCHEDULERS
from tests.system.harness.backends import StartBackends, echo_backend
from tests.system.harness.clients import Conversation, ask, ask_often, connect, is_reset
from tests.system.harness.manifests import Manifest, annotated, pod, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy

HERE = "127.0.0.1"
PORT = 7007
GREET_AND_WAIT = """
import socket, sys
with socket.create_server((sys.argv[1], int(sys.argv[2]))) as server:
    print("listening", flush=True)
    connection, _ = server.accept()
    connection.sendall(b"hello")
    connection.recv(1, socket.MSG_PEEK) if sys.argv[3] == "unread" else None
    print("ready", flush=True)
    sys.stdin.read()
"""


def manifests(node_port: int, *pods: Manifest, **annotations: str) -> list[Manifest]:
    web = service("web", port(80, "echo", nodePort=node_port), type="NodePort", selector={"app": "web"})
    return [annotated(web, **annotations), *pods]


def pod_at(address: str, name: str, weight: int = 1) -> Manifest:
    return pod(name, address, {"echo": PORT}, {"app": "web", "svcproxy.io/weight": str(weight)})


def start_mortal(stack: ExitStack, address: str, mode: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", GREET_AND_WAIT, address, str(PORT), mode]
    mortal = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    stack.callback(mortal.kill)
    assert mortal.stdout is not None
    assert mortal.stdout.readline() == b"listening\n"
    return mortal


@pytest.mark.parametrize("mode", ["read", "unread"])
def test_a_backend_killed_in_mid_connection_ends_it_as_its_kernel_did(
    svcproxy: StartSvcproxy, places: Places, backend_stack: ExitStack, mode: str
) -> None:
    """A killed process's sockets are closed, with a reset where bytes had not been read."""
    address, node_port = places.address(), places.node_port()
    mortal = start_mortal(backend_stack, address, mode)
    svcproxy(manifests(node_port, pod_at(address, "mortal")))
    with connect(HERE, node_port) as client:
        assert client.recv(5) == b"hello"
        if mode == "unread":
            client.sendall(b"x")
        assert mortal.stdout is not None
        assert mortal.stdout.readline() == b"ready\n"
        mortal.kill()
        if mode == "unread":
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        else:
            assert client.recv(1) == b""


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_request_is_served_although_the_heaviest_backend_refuses(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, scheduler: str
) -> None:
    node_port = places.node_port()
    alive = [pod_at(each.address, each.name) for each in echo_backends("a", "b")]
    svcproxy(manifests(node_port, *alive, pod_at(places.address(), "refusing", weight=3), scheduler=scheduler))
    assert set(ask_often(20, HERE, node_port)) <= {"a", "b"}


def test_clients_learn_at_once_that_all_refuse_and_are_served_when_one_is_back(
    svcproxy: StartSvcproxy, places: Places
) -> None:
    node_port, addresses = places.node_port(), [places.address(), places.address()]
    proxy = svcproxy(
        manifests(node_port, *(pod_at(address, f"pod-{address}") for address in addresses)), "--access-log"
    )
    for _ in range(5):
        assert is_reset(HERE, node_port)
    proxy.wait_for_event("flow", reason="connect_refused")
    with echo_backend("back", addresses[1]):
        assert ask_often(5, HERE, node_port) == {"back": 5}


@pytest.fixture
def blackhole(places: Places) -> Iterator[str]:
    """An address where connects hang: its accept queue is full, so the kernel drops what comes."""
    with ExitStack() as stack:
        address = places.address()
        stack.enter_context(socket.create_server((address, PORT), backlog=0))
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex((address, PORT))
        yield address


def test_a_backend_that_does_not_answer_is_passed_over_within_the_connect_timeout(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, blackhole: str
) -> None:
    node_port, (alive,) = places.node_port(), echo_backends("alive")
    svcproxy(manifests(node_port, pod_at(alive.address, "alive"), pod_at(blackhole, "silent"), connect_timeout="600ms"))
    assert ask_often(10, HERE, node_port) == {"alive": 10}


def test_a_client_is_told_when_nobody_answers_within_the_connect_timeout(
    svcproxy: StartSvcproxy, places: Places, blackhole: str
) -> None:
    node_port = places.node_port()
    proxy = svcproxy(manifests(node_port, pod_at(blackhole, "silent"), connect_timeout="300ms"), "--access-log")
    assert is_reset(HERE, node_port)
    flow = proxy.wait_for_event("flow", reason="connect_timeout")
    assert flow["connectMs"] is None


def test_a_silent_backend_holds_up_nobody_who_has_another(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends, blackhole: str
) -> None:
    """With rr every second client meets the silent one first; those that meet the other are served meanwhile."""
    node_port, (alive,) = places.node_port(), echo_backends("alive")
    svcproxy(manifests(node_port, pod_at(alive.address, "alive"), pod_at(blackhole, "silent"), connect_timeout="50s"))
    waiting = [connect(HERE, node_port) for _ in range(2)]
    try:
        assert ask(HERE, node_port) == "alive" or ask(HERE, node_port) == "alive"
    finally:
        for client in waiting:
            client.close()


def test_connections_of_other_backends_go_on(
    svcproxy: StartSvcproxy, places: Places, echo_backends: StartBackends
) -> None:
    node_port, backends = places.node_port(), echo_backends("a", "b")
    svcproxy(manifests(node_port, *(pod_at(each.address, each.name) for each in backends)))
    with Conversation(HERE, node_port) as first, Conversation(HERE, node_port) as second:
        assert {first.name, second.name} == {"a", "b"}
        next(each for each in backends if each.name == first.name).close()
        assert first.socket.recv(1) == b""
        assert second.say(b"still") == b"still"
        assert ask_often(4, HERE, node_port) == {second.name: 4}
