"""The machine under the benchmark: its cores, its programs, and what to say about it beside the figures.

Imports the standard library, msgspec and psutil. Invariant: a missing program is installed (as root, with apt-get) or
named in an error before anything is measured; a benchmark without its peers is not a benchmark.
"""

import importlib.metadata
import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil

NGINX_STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
PROGRAMS = ("haproxy", "nginx", "wrk", "taskset", "setpriv", str(NGINX_STREAM_MODULE))
DEBIAN_PACKAGES = ("haproxy", "nginx-light", "libnginx-mod-stream", "wrk")


class Cores(msgspec.Struct, frozen=True):
    """Which core the proxy under test runs on, and which one everything that loads it."""

    proxy: int
    load: int


class Machine(msgspec.Struct, frozen=True):
    """What the figures depend on; printed and written beside them."""

    processor: str
    cores: int
    memory_gib: float
    kernel: str
    pinned: Cores
    versions: dict[str, str]
    """Of the programs that are here."""

    def __str__(self) -> str:
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return (
            f"{self.processor}, {self.cores} cores, {self.memory_gib:.0f} GiB, {self.kernel}; {versions}; "
            f"proxy on core {self.pinned.proxy}, load and backends on core {self.pinned.load}"
        )


def choose_cores() -> Cores:
    """The first two cores this process may use; with a single one both roles share it, and the report says so."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(proxy=allowed[0], load=allowed[1] if len(allowed) > 1 else allowed[0])


def raise_descriptor_limit() -> None:
    """Raise the soft limit to the hard one; children inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def missing_programs(needed: Sequence[str] = PROGRAMS) -> list[str]:
    """Which of the programs, or files, that the benchmark needs this machine lacks."""
    return [each for each in needed if shutil.which(each) is None and not Path(each).is_file()]


def ensure_programs(needed: Sequence[str] = PROGRAMS, packages: Sequence[str] = DEBIAN_PACKAGES) -> None:
    """Install the missing peers where that is possible.

    Raises SystemExit naming what is missing where it is not.
    """
    missing = missing_programs(needed)
    if not missing:
        return
    if os.geteuid() == 0 and shutil.which("apt-get") is not None:
        print(f"missing: {', '.join(missing)}; installing {' '.join(packages)} with apt-get", file=sys.stderr)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update"], check=True, env=environment, stdout=sys.stderr)
        install = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
        subprocess.run(install, check=True, env=environment, stdout=sys.stderr)
        missing = missing_programs(needed)
    if missing:
        raise SystemExit(
            f"the benchmark needs {', '.join(missing)}; on Debian, as root: apt-get install {' '.join(packages)}"
        )


def describe(cores: Cores) -> Machine:
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gib=psutil.virtual_memory().total / 2**30,
        kernel=f"{platform.system()} {platform.release()}",
        pinned=cores,
        versions=_versions(),
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _versions() -> dict[str, str]:
    before = {"haproxy": "HAProxy version ", "nginx": "nginx/", "wrk": "wrk "}
    programs = {name: _said_by([name, "-v"], text) for name, text in before.items() if shutil.which(name)}
    return {**programs, "python": platform.python_version(), "uvloop": importlib.metadata.version("uvloop")}


def _said_by(command: list[str], before: str) -> str:
    """The word after `before` in what `command` prints; wrk exits 1 for its own -v, so the status tells nothing."""
    answer = subprocess.run(command, check=False, capture_output=True, text=True)
    return (answer.stdout + answer.stderr).partition(before)[2].split()[0]
