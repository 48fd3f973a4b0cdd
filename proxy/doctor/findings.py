"""What a machine means for the proxy: each finding with what to do about it.

Pure. Invariant: a finding is FAILED only where the configuration asks for what is not there.
"""

import enum
from collections.abc import Iterable, Iterator

import msgspec

from proxy.configuration.config import Configuration
from proxy.doctor.machine import CAPABILITIES, Machine

_FEW_DESCRIPTORS = 4096
_NEARLY_FULL = 0.9


class State(enum.Enum):
    """OK: it is there. ABSENT: it is not, and nothing asks for it. FAILED: it is not, and the configuration asks."""

    OK = "ok"
    ABSENT = "-"
    FAILED = "FAIL"


class Finding(msgspec.Struct, frozen=True):
    """One line; `remedy` is empty where nothing needs to be done."""

    state: State
    subject: str
    text: str
    remedy: str = ""


def findings(machine: Machine, configuration: Configuration) -> tuple[Finding, ...]:
    """Everything, first what the machine has and then the paths."""
    return (
        _ports(machine),
        *_own_addresses(machine),
        _capabilities(machine, configuration),
        _descriptors(machine),
        _ipv6(machine, configuration),
        _conntrack(machine),
        _cgroup(machine),
        Finding(State.OK, "path relay", "serves every Service, needs nothing"),
        *_paths(machine, configuration),
    )


def _ports(machine: Machine) -> Finding:
    if machine.first_port == 0 or "NET_BIND_SERVICE" in machine.capabilities:
        return Finding(State.OK, "ports", "every port may be bound")
    remedy = "sysctl -w net.ipv4.ip_unprivileged_port_start=0, or the capability NET_BIND_SERVICE"
    return Finding(State.ABSENT, "ports", f"ports below {machine.first_port} may not be bound", remedy)


def _own_addresses(machine: Machine) -> Iterator[Finding]:
    for place, holder in machine.taken.items():
        text = f"{place}, which the proxy itself wants, is held by {holder}"
        remedy = "stop that, or choose another address for health (--healthz-bind-address) or admin (--metrics-…)"
        yield Finding(State.FAILED, "own address", text, remedy)


def _capabilities(machine: Machine, configuration: Configuration) -> Finding:
    held = ", ".join(name for name in CAPABILITIES if name in machine.capabilities) or "none"
    foreign = [each for each in configuration.service_cluster_ip_range if not each.startswith("127.")]
    if foreign and "NET_ADMIN" not in machine.capabilities:
        text = f"{held}; serviceClusterIPRange {foreign[0]} takes NET_ADMIN, which adds its routes"
        return Finding(State.FAILED, "capabilities", text, "run as root, or grant CAP_NET_ADMIN; or use 127.96.0.0/16")
    return Finding(State.OK, "capabilities", held)


def _descriptors(machine: Machine) -> Finding:
    soft, hard = machine.descriptors
    text = f"{hard} open files" + (f" (raised from {soft} at the start)" if soft < hard else "")
    if hard >= _FEW_DESCRIPTORS:
        return Finding(State.OK, "descriptors", text)
    return Finding(
        State.ABSENT, "descriptors", f"{text}: about {hard // 3} connections", "ulimit -Hn, or LimitNOFILE= in systemd"
    )


def _ipv6(machine: Machine, configuration: Configuration) -> Finding:
    if machine.ipv6:
        return Finding(State.OK, "IPv6", "works")
    wanted = [each for each in configuration.service_cluster_ip_range if ":" in each]
    state = State.FAILED if wanted else State.ABSENT
    return Finding(state, "IPv6", "is switched off here", "sysctl -w net.ipv6.conf.all.disable_ipv6=0")


def _conntrack(machine: Machine) -> Finding:
    if machine.conntrack is None:
        return Finding(State.OK, "conntrack", "tracks nothing here")
    entries, limit = machine.conntrack
    text = f"{entries} of {limit} entries"
    if entries < limit * _NEARLY_FULL:
        return Finding(State.OK, "conntrack", text)
    return Finding(State.ABSENT, "conntrack", f"{text}: nearly full", "sysctl -w net.netfilter.nf_conntrack_max=…")


def _cgroup(machine: Machine) -> Finding:
    if "v2" in machine.cgroup:
        return Finding(State.OK, "cgroup", machine.cgroup)
    return Finding(State.ABSENT, "cgroup", machine.cgroup or "none is mounted", "mount -t cgroup2 none /sys/fs/cgroup")


def _paths(machine: Machine, configuration: Configuration) -> Iterable[Finding]:
    yield _path("path sklookup", machine.sklookup, asked=configuration.capture == "sklookup")
    yield _path("path shortcut", machine.shortcut, asked=configuration.shortcut not in ("off", "auto"))
    yield _path("path nftables", machine.nftables, asked=configuration.mode not in ("userspace", "auto"))
    yield _path("path ipvs", "is not in this version: mode ipvs is taken as nftables", asked=False)


def _path(subject: str, missing: str, *, asked: bool) -> Finding:
    """`missing` says what is not there, then after a colon what to do."""
    if not missing:
        return Finding(State.OK, subject, "is permitted")
    text, _, remedy = missing.partition(": ")
    return Finding(State.FAILED if asked else State.ABSENT, subject, text, remedy)
