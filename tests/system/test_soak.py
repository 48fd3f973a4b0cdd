"""An hour's worth of churn in a minute: connections, flows, endpoints and whole Services, and nothing of it stays.

What an hour holds for a busy node, in as quick a succession as the machine allows. Invariant: memory, descriptors,
pipes, threads and the loop's tasks are compared at two moments of rest, the first of them after a warm-up of the same
work.
"""

import os
import socket
import struct
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.system.harness.backends import Backend, StartBackends
from tests.system.harness.clients import TIMEOUT, Conversation, ask, ask_udp, connect
from tests.system.harness.eventually import eventually
from tests.system.harness.manifests import Manifest, ManifestDirectory, endpoint_slice, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import StartSvcproxy, Svcproxy

WARM_UP_ROUNDS = 15
ROUNDS = 45
CONNECTIONS = 200
FLOWS = 200
CHANGED_SERVICES = 80
PASSING_SERVICES = 20
"""With 10 endpoints each, for TCP and UDP, all of which come and go in a round."""
BULK = 3 * 2**20
ALLOWED_GROWTH = 3 * 2**20
"""Bytes for each process, over ROUNDS: a leak of 350 bytes for each connection shows."""
POOL_THREADS = (os.cpu_count() or 1) + 4
"""Threads that the loop's pool may yet start as it is used more (concurrent.futures); a leak shows every round."""

PASSING_TASKS = 5
"""Tasks of the control process that come and go by themselves: a connection to be answered, a timer's work."""

RESET = struct.pack("ii", 1, 0)


class Held(NamedTuple):
    """What one process holds."""

    memory: int
    descriptors: int
    pipes: int
    threads: int


class Churn:
    """One Service for TCP, one for UDP, and many whose endpoints change."""

    def __init__(self, places: Places, echo: Sequence[Backend], answering: Sequence[Backend]) -> None:
        self.tcp_port, self.udp_port = places.node_port(), places.node_port()
        self._manifests = [
            service("tcp", port(7, nodePort=self.tcp_port), type="NodePort"),
            endpoint_slice("tcp", [each.address for each in echo], {"port": echo[0].port}),
            service("udp", port(7, protocol="UDP", nodePort=self.udp_port), type="NodePort"),
            endpoint_slice("udp", [each.address for each in answering], {"port": answering[0].port, "protocol": "UDP"}),
            *(service(f"other-{number}", port(80)) for number in range(CHANGED_SERVICES)),
        ]
        self._version = 0

    def start(self, directory: ManifestDirectory) -> None:
        directory.put(*self._manifests, *self._others())

    def round(self, proxy: Svcproxy) -> None:
        """Every kind of ending, a bulk transfer, a new version of every other Service, and Services that pass by."""
        self._version += 1
        proxy.manifests.put(*self._others(), *self._passing())
        for number in range(CONNECTIONS):
            (self._finish, self._reset, self._leave_half_open)[number % 3]()
        with Conversation("127.0.0.1", self.tcp_port) as conversation:
            assert conversation.say(bytes(BULK)) == bytes(BULK)
        for _ in range(FLOWS):
            ask_udp("127.0.0.1", self.udp_port)
        last = f"other-{CHANGED_SERVICES - 1}"
        wanted = {f"{self._address()}:80"}
        eventually(lambda: set(proxy.endpoints(last)) == wanted, f"version {self._version} of {last}")
        proxy.manifests.remove(*self._passing())
        eventually(lambda: "passing" not in proxy.get("/api/v1/services")[1], "no passing Service")

    def _others(self) -> list[Manifest]:
        slices = (
            endpoint_slice(f"other-{number}", [self._address()], {"port": 80}) for number in range(CHANGED_SERVICES)
        )
        return list(slices)

    def _passing(self) -> list[Manifest]:
        names = [f"passing-{number}" for number in range(PASSING_SERVICES)]
        ports = (port(80, name="tcp"), port(80, name="udp", protocol="UDP"))
        slice_ports: tuple[Manifest, ...] = (
            {"name": "tcp", "port": 80},
            {"name": "udp", "port": 80, "protocol": "UDP"},
        )
        addresses = [f"127.61.0.{number}" for number in range(1, 11)]
        return [
            *(service(name, *ports) for name in names),
            *(endpoint_slice(name, addresses, *slice_ports) for name in names),
        ]

    def _address(self) -> str:
        return f"127.60.0.{1 + self._version % 2}"

    def _finish(self) -> None:
        ask("127.0.0.1", self.tcp_port)

    def _reset(self) -> None:
        with connect("127.0.0.1", self.tcp_port) as client:
            client.recv(1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    def _leave_half_open(self) -> None:
        with connect("127.0.0.1", self.tcp_port) as client:
            client.shutdown(socket.SHUT_WR)
            client.recv(1)


def held(pid: int) -> Held:
    process = psutil.Process(pid)
    targets = [_target(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
    pipes = sum(target.startswith("pipe:") for target in targets)
    return Held(process.memory_info().rss, len(targets), pipes, process.num_threads())


def _target(link: Path) -> str:
    try:
        return os.readlink(link)
    except FileNotFoundError:
        return ""


def tasks(proxy: Svcproxy) -> int:
    """How many the control process has."""
    (line,) = [line for line in proxy.get("/metrics")[1].splitlines() if line.startswith("svcproxy_control_tasks ")]
    return int(float(line.split()[1]))


def family(proxy: Svcproxy) -> list[int]:
    """The process and its workers."""
    root = psutil.Process(proxy.pid)
    return [root.pid, *sorted(child.pid for child in root.children(recursive=True))]


def at_rest(proxy: Svcproxy) -> dict[int, Held]:
    """What every process holds once no connection and no flow is open."""
    eventually(lambda: "svcproxy_tcp_connections 0.0" in proxy.get("/metrics")[1], "no open connection", TIMEOUT)
    eventually(lambda: "svcproxy_udp_flows 0.0" in proxy.get("/metrics")[1], "no open flow", TIMEOUT)
    return {pid: held(pid) for pid in family(proxy)}


def is_within(pid: int, then: Held) -> bool:
    """Whether the process has no more open than it had."""
    now = held(pid)
    return now.descriptors <= then.descriptors and now.pipes <= then.pipes


@pytest.mark.long
@pytest.mark.timeout(600)
def test_an_hours_worth_of_churn_leaves_nothing_behind(
    svcproxy: StartSvcproxy,
    places: Places,
    tmp_path: Path,
    echo_backends: StartBackends,
    udp_backends: StartBackends,
) -> None:
    churn = Churn(places, echo_backends("a", "b"), udp_backends("c", "d"))
    directory = ManifestDirectory(tmp_path / "manifests")
    churn.start(directory)
    proxy = svcproxy(directory, configuration={"udpIdleTimeout": "1s"})
    for _ in range(WARM_UP_ROUNDS):
        churn.round(proxy)
    before, tasks_before = at_rest(proxy), tasks(proxy)
    for _ in range(ROUNDS):
        churn.round(proxy)
    after, tasks_after = at_rest(proxy), tasks(proxy)
    assert after.keys() == before.keys()
    assert 0 < tasks_after <= tasks_before + PASSING_TASKS
    for pid, then in before.items():
        assert after[pid].threads <= then.threads + POOL_THREADS
        assert after[pid].memory - then.memory < ALLOWED_GROWTH
        # The connections that asked for the metrics are closed a moment after their answers.
        eventually(partial(is_within, pid, then), f"no more descriptors or pipes than {then}")
