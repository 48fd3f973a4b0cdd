"""Subject: something that the benchmark measures, either a proxy or the backends directly.

Imports only rooms of the benchmark. Invariant: a proxy is started afresh for every measurement, alone on its core, with
the same backends behind it as every other, and is gone when its `with` block ends.
"""

import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import ClassVar

import msgspec
import wait
from backends import Backends
from child import Child
from machine import Cores

LISTEN_ADDRESS = "127.0.0.1"
NODE_PORTS = range(30000, 32768)


class Ports(msgspec.Struct, frozen=True):
    """Where a proxy shall listen; node ports, because they lie outside the kernel's ephemeral range."""

    tcp: int
    udp: int


class Place(msgspec.Struct, frozen=True):
    """What a subject is started with; `directory` is shared, file names carry the subject's name."""

    directory: Path
    cores: Cores
    backends: Backends


class Running(msgspec.Struct, frozen=True):
    """A subject that answers; `pids` is empty for the direct connection, `udp` None where UDP is not offered."""

    subject: str
    http: wait.Address
    udp: wait.Address | None
    pids: tuple[int, ...]
    backend_pids: tuple[int, ...]


class Subject(ABC):
    """Something to measure, under the name that the report gives it."""

    name: ClassVar[str]
    speaks_udp: ClassVar[bool] = True

    @abstractmethod
    def running(self, place: Place) -> AbstractContextManager[Running]:
        """Start the subject, wait until it answers, end it. Raises ChildFailedError if it does not start."""


class Direct(Subject):
    """No proxy: what the backends and the load generator can do between themselves."""

    name = "direct"

    @contextmanager
    def running(self, place: Place) -> Iterator[Running]:
        backends = place.backends
        yield Running(self.name, backends.http[0], backends.udp, (), backends.pids)


class Proxy(Subject):
    """A program that listens and forwards; subclasses write its configuration."""

    @abstractmethod
    def configure(self, place: Place, ports: Ports) -> list[str]:
        """Write what the program reads below `place.directory` and return the command that starts it."""

    def working_directory(self) -> Path | None:
        return None

    @contextmanager
    def running(self, place: Place) -> Iterator[Running]:
        ports = free_node_ports()
        command = self.configure(place, ports)
        log = place.directory / f"{self.name.replace(' ', '-')}.log"
        http, udp = (LISTEN_ADDRESS, ports.tcp), (LISTEN_ADDRESS, ports.udp)
        with Child(self.name, command, place.cores.proxy, log, self.working_directory()) as child:
            wait.until_http_answers(child, http)
            if self.speaks_udp:
                wait.until_udp_answers(child, udp)
            yield Running(self.name, http, udp if self.speaks_udp else None, child.pids(), place.backends.pids)
            child.check_alive()


def free_node_ports() -> Ports:
    """Two node ports on which nothing listens now. Raises RuntimeError if there are none."""
    free = (port for port in NODE_PORTS if _is_free(port))
    try:
        return Ports(tcp=next(free), udp=next(free))
    except StopIteration:
        raise RuntimeError(f"no free port in {NODE_PORTS.start}-{NODE_PORTS.stop - 1}") from None


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM))
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                return False
    return True
