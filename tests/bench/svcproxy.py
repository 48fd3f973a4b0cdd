"""svcproxy as the subject: the `run` command of this checkout or of its compiled wheel, on manifests that the benchmark
writes.

Imports only rooms of the benchmark. Invariant: defaults throughout; nothing is set here that a user would not set.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import compiled_wheel
import manifests
import yaml
from subject import Place, Ports, Proxy, Running

from proxy.shortcut.cgroups import cgroup2_mount

REPOSITORY = Path(__file__).resolve().parents[2]


def run_command(manifest_directory: Path, state_directory: Path, python: str = sys.executable) -> list[str]:
    """The command line of one svcproxy that no other one on this machine can meet."""
    return [
        *(python, "-m", "proxy", "run"),
        *("--manifests", str(manifest_directory)),
        *("--state-dir", str(state_directory)),
        *("--metrics-bind-address", "127.0.0.1:0"),
        *("--healthz-bind-address", "127.0.0.1:0"),
    ]


class Svcproxy(Proxy):
    """A NodePort Service over TCP and one over UDP, each with an EndpointSlice."""

    name = "svcproxy"
    python = sys.executable

    def working_directory(self) -> Path | None:
        # Python looks for modules there first.
        return REPOSITORY

    def configure(self, place: Place, ports: Ports) -> list[str]:
        directory = place.directory / "svcproxy"
        # A state directory of an earlier measurement would hand out its addresses again.
        shutil.rmtree(directory, ignore_errors=True)
        manifest_directory, state_directory = directory / "manifests", directory / "state"
        manifest_directory.mkdir(parents=True)
        state_directory.mkdir()
        backends = place.backends
        hosts = [host for host, _ in backends.http]
        documents = [
            *manifests.service_with_slice("web", "TCP", hosts, backends.http_port, ports.tcp),
            *manifests.service_with_slice("echo", "UDP", [backends.udp[0]], backends.udp[1], ports.udp),
        ]
        (manifest_directory / "bench.yaml").write_text(yaml.safe_dump_all(documents))
        return run_command(manifest_directory, state_directory, self.python)


class CompiledSvcproxy(Svcproxy):
    """The same from the wheel whose hot modules mypyc has compiled; `compiled_wheel.is_installed` comes before."""

    name = "svcproxy compiled"
    python = str(compiled_wheel.PYTHON)

    def working_directory(self) -> Path | None:
        return compiled_wheel.PYTHON.parent


class ShortcutSvcproxy(Svcproxy):
    """The same with the socket shortcut, for a load that runs in a cgroup of its own."""

    name = "svcproxy shortcut"

    def configure(self, place: Place, ports: Ports) -> list[str]:
        return [*super().configure(place, ports), "--shortcut", str(_cgroup())]

    @contextmanager
    def running(self, place: Place) -> Iterator[Running]:
        """Raises OSError where no cgroup can be made."""
        cgroup = _cgroup()
        cgroup.mkdir(exist_ok=True)
        try:
            with super().running(place) as running, _inside(cgroup):
                yield running
        finally:
            cgroup.rmdir()


def _cgroup() -> Path:
    return (cgroup2_mount() or Path("/sys/fs/cgroup")) / f"svcproxy-bench-{os.getpid()}"


@contextmanager
def _inside(cgroup: Path) -> Iterator[None]:
    """This process, and whatever load it starts, in the cgroup."""
    own = Path("/proc/self/cgroup").read_text().rpartition("0::/")[2].strip()
    (cgroup / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        (cgroup.parent / own / "cgroup.procs").write_text(str(os.getpid()))
