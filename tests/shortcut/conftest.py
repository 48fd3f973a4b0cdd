"""Fixtures of the shortcut: a cgroup and a network namespace of the test's own, endpoints, and the programs attached.

Invariant: the test process is back in its own cgroup and the test's cgroup is removed when a test is over.
"""

import os
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from proxy.bpf.bpf_error import BpfError
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool, Target
from proxy.shared_counts.column import Column
from proxy.shared_counts.table import SharedTable
from proxy.shortcut.attachment import Attachment
from proxy.shortcut.cgroups import UnavailableError, cgroup2_mount
from proxy.shortcut.eligibility import Circumstances
from proxy.shortcut.layout import ConfigField
from proxy.shortcut.maps import Capacities, Maps
from proxy.shortcut.programs import programs
from proxy.shortcut.shortcut_choice import namespace_cookie
from proxy.shortcut.socket_shortcut import SocketShortcut
from proxy.workers.row_ledger import RowLedger

SMALL = Capacities(pools=64, endpoints=1024, slots=32_768, frontends=256, clients=256, flows=256, local_addresses=64)
PORT = 8080
HOSTS = tuple(f"127.0.10.{number}" for number in range(1, 6))
HOSTS6 = tuple(f"fd00:96::{number:x}" for number in range(0x11, 0x16))
VIP, VIP6 = "10.96.0.10", "fd00:96::a"
NODE_PORT = 30080
_NUMBERS = count(1)
_STOP = b"stop"
_IPV6_FREEBIND = 78  # include/uapi/linux/in6.h


class Endpoints:
    """Servers in threads, each of which says its address to whoever connects or sends."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._sockets: dict[tuple[str, int, int], socket.socket] = {}

    def serve(self, host: str, port: int = PORT, kind: socket.SocketKind = socket.SOCK_STREAM) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = self._stack.enter_context(socket.socket(family, kind))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        sock.bind((host, port))
        if kind is socket.SOCK_STREAM:
            sock.listen(256)
        target = _greet if kind is socket.SOCK_STREAM else _echo
        thread = threading.Thread(target=target, args=(sock, host.encode()), daemon=True)
        thread.start()
        self._sockets[host, port, kind] = sock
        self._stack.callback(thread.join, 5)
        self._stack.callback(_wake, sock)


def _wake(sock: socket.socket) -> None:
    """End the thread that waits on the socket."""
    if sock.type is socket.SOCK_STREAM:
        sock.shutdown(socket.SHUT_RDWR)
    else:
        sock.sendto(_STOP, sock.getsockname()[:2])


def _greet(listener: socket.socket, name: bytes) -> None:
    """Say the name, and close when the client does."""
    held: list[socket.socket] = []
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            for each in held:
                each.close()
            return
        client.sendall(name)
        held.append(client)


def _echo(sock: socket.socket, name: bytes) -> None:
    while True:
        data, peer = sock.recvfrom(2048)
        if data == _STOP:
            return
        with suppress(ConnectionRefusedError):
            sock.sendto(name + b" " + data, peer)


class Clock:
    """A monotonic clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Machine:
    """The shortcut on the cgroup, with what it counts."""

    def __init__(self, maps: Maps, attachment: Attachment) -> None:
        self.clock = Clock()
        self.maps = maps
        self.ledger = RowLedger()
        self.table = SharedTable.create(2)
        self.column = Column(self.table, 1)
        self.local: list[str] = []
        self.shortcut = SocketShortcut(
            maps, attachment, Circumstances(), self.clock, lambda: self.local, self.ledger, self.column
        )

    def apply(self, *pools: Pool, frontends: tuple[Frontend, ...] = (), removed: tuple[FrontendKey, ...] = ()) -> None:
        for pool in pools:
            self.ledger.hold(pool)
        self.shortcut.apply(Delta(pools=pools, frontends=frontends, removed_frontends=removed))

    def tend(self, seconds: float = 0.25) -> None:
        self.clock.now += seconds
        self.shortcut.tend()


def pool(*hosts: str, key: str = "web", protocol: str = "TCP", weights: tuple[int, ...] = (), **more: Any) -> Pool:
    """A pool of PORT on these hosts."""
    targets = tuple(
        Target(host, PORT, weight) for host, weight in zip(hosts, weights or (1,) * len(hosts), strict=True)
    )
    fields: dict[str, Any] = {"scheduler": "rr", "affinity_seconds": 0, "idle_timeout": 0.0} | more
    return Pool(
        key=key,
        service="default/web",
        port_name="",
        protocol=protocol,
        affinity_key=fields.pop("affinity_key", key),
        connect_timeout=5.0,
        targets=targets,
        **fields,
    )


def frontend(address: str, port: int = 80, protocol: str = "TCP", pool: str = "web", **more: Any) -> Frontend:
    return Frontend(FrontendKey(protocol, address, port), pool, "default/web", more.pop("kind", "ClusterIP"), **more)


def ask(address: str, port: int = 80, source: str = "") -> str:
    """The name of the endpoint that a new connection meets."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(5)
        if source:
            client.bind((source, 0))
        client.connect((address, port))
        return client.recv(100).decode()


def spread(times: int, address: str = VIP, **more: Any) -> Counter[str]:
    return Counter(ask(address, **more) for _ in range(times))


@pytest.fixture
def endpoints(network_namespace: None) -> Iterator[Endpoints]:
    with ExitStack() as stack:
        yield Endpoints(stack)


@pytest.fixture
def cgroup() -> Iterator[Path]:
    """A new cgroup with this process in it."""
    mount = cgroup2_mount()
    if mount is None:
        pytest.skip("no cgroup v2 here")
    own = mount / Path("/proc/self/cgroup").read_text().rpartition("0::/")[2].strip()
    path = mount / f"svcproxy-test-{os.getpid()}-{next(_NUMBERS)}"
    try:
        path.mkdir()
    except OSError as error:
        pytest.skip(f"not permitted: a cgroup ({error.strerror})")
    try:
        (path / "cgroup.procs").write_text(str(os.getpid()))
        yield path
    finally:
        (own / "cgroup.procs").write_text(str(os.getpid()))
        path.rmdir()


@pytest.fixture
def attach(cgroup: Path, network_namespace: None) -> Iterator[Callable[[], Machine]]:
    """Makes a machine; every one is closed at the end."""
    machines: list[Machine] = []

    def make() -> Machine:
        maps = Maps(SMALL)
        maps.config.words[maps.config.word(0, ConfigField.OWN_NAMESPACE)] = namespace_cookie()
        machine = Machine(maps, Attachment(programs(maps, 60.0), (cgroup,), None))
        machines.append(machine)
        return machine

    try:
        yield make
    finally:
        for machine in machines:
            machine.shortcut.close()


@pytest.fixture
def machine(attach: Callable[[], Machine]) -> Machine:
    try:
        return attach()
    except (BpfError, UnavailableError) as error:
        pytest.skip(f"not permitted: {error}")
