"""What a machine permits a process, as it is found.

Invariant: looking changes nothing, and whatever the kernel does not tell is a value that says so.
"""

import os
import platform
import resource
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from proxy.bpf.bpf_error import BpfError
from proxy.bpf.namespace_link import linked_programs
from proxy.capture.port_holder import holder_of
from proxy.capture.unprivileged_ports import first_unprivileged_port
from proxy.nftables import nftables_choice
from proxy.shortcut.cgroups import UnavailableError, candidates, check_machine

CAPABILITIES = {"NET_BIND_SERVICE": 10, "NET_ADMIN": 12, "NET_RAW": 13, "SYS_ADMIN": 21, "BPF": 39}
"""Numbers of include/uapi/linux/capability.h."""
_STATUS = Path("/proc/self/status")
_CONNTRACK = Path("/proc/sys/net/netfilter")

Place = tuple[str, int]


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """`sklookup`, `shortcut` and `nftables` are why each cannot be had, empty where it can. `taken` is who holds an
    address that the proxy itself wants, by "host:port". `conntrack` is entries and limit, None where nothing is
    tracked."""

    kernel: str = ""
    python: str = ""
    user: int = 0
    capabilities: frozenset[str] = frozenset()
    first_port: int = 1024
    sklookup: str = ""
    shortcut: str = ""
    nftables: str = ""
    descriptors: tuple[int, int] = (0, 0)
    ipv6: bool = False
    conntrack: tuple[int, int] | None = None
    cgroup: str = ""
    taken: dict[str, str] = {}


def look(wanted_cgroup: str, places: Iterable[Place]) -> Machine:
    """The machine as it is now. `wanted_cgroup` is where the shortcut would be, "auto" or a directory; `places` are the
    addresses that the proxy itself listens on."""
    return Machine(
        kernel=platform.release(),
        python=platform.python_version(),
        user=os.geteuid(),
        capabilities=_capabilities(),
        first_port=first_unprivileged_port(),
        sklookup=_why_not(linked_programs),
        shortcut=_why_not(check_machine) or _why_not(lambda: candidates(wanted_cgroup)),
        nftables=nftables_choice.why_not(),
        descriptors=resource.getrlimit(resource.RLIMIT_NOFILE),
        ipv6=_binds("::1"),
        conntrack=_conntrack(),
        cgroup=_cgroup(),
        taken={f"{host}:{port}": holder for host, port in places if (holder := _holder(host, port))},
    )


def _capabilities() -> frozenset[str]:
    line = next((line for line in _STATUS.read_text().splitlines() if line.startswith("CapEff:")), "CapEff: 0")
    held = int(line.split()[1], 16)
    return frozenset(name for name, number in CAPABILITIES.items() if held >> number & 1)


def _why_not(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except (BpfError, UnavailableError) as error:
        return str(error).removeprefix("shortcut: ")
    return ""


def _binds(host: str, port: int = 0) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            probe.listen()
    except OSError:
        return False
    return True


def _holder(host: str, port: int) -> str:
    """Who is in the way, "another process" where the kernel does not tell; empty where nobody is."""
    return "" if not port or _binds(host, port) else holder_of("TCP", host, port) or "another process"


def _conntrack() -> tuple[int, int] | None:
    try:
        entries, limit = (int((_CONNTRACK / name).read_text()) for name in ("nf_conntrack_count", "nf_conntrack_max"))
    except (OSError, ValueError):
        return None
    return entries, limit


def _cgroup() -> str:
    """Which version is mounted."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return "v2"
    return "v1 and v2" if Path("/sys/fs/cgroup/unified").exists() else "v1" if Path("/sys/fs/cgroup").exists() else ""
