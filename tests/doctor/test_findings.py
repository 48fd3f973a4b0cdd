"""What a machine means for the proxy."""

import pytest

from proxy.configuration.config import Configuration
from proxy.doctor.findings import State, findings
from proxy.doctor.machine import CAPABILITIES, Machine

ROOT = Machine(
    capabilities=frozenset(CAPABILITIES),
    descriptors=(1024, 524288),
    ipv6=True,
    cgroup="v2",
)
USER = Machine(
    user=1000,
    sklookup="it needs BPF: run as root",
    shortcut="it needs CAP_BPF: run as root",
    nftables="it needs CAP_NET_ADMIN: run as root",
    descriptors=(1024, 1024),
)


def states(machine: Machine, **settings: object) -> dict[str, State]:
    return {each.subject: each.state for each in findings(machine, Configuration(**settings))}  # type: ignore[arg-type]


def test_where_everything_is_permitted_everything_is_ok() -> None:
    assert {subject for subject, state in states(ROOT).items() if state is not State.OK} == {"path ipvs"}


def test_what_an_ordinary_user_lacks_is_no_failure_unless_it_is_asked_for() -> None:
    assert State.FAILED not in states(USER).values()
    assert states(USER)["ports"] is State.ABSENT


@pytest.mark.parametrize(
    ("machine", "settings", "subject"),
    [
        (USER, {"capture": "sklookup"}, "path sklookup"),
        (USER, {"shortcut": "/sys/fs/cgroup"}, "path shortcut"),
        (USER, {"mode": "nftables"}, "path nftables"),
        (USER, {"service_cluster_ip_range": ("10.96.0.0/16",)}, "capabilities"),
        (USER, {"service_cluster_ip_range": ("127.96.0.0/16", "fd00::/112")}, "IPv6"),
        (Machine(taken={"127.0.0.1:10249": "nginx (pid 1)"}), {}, "own address"),
    ],
)
def test_what_is_asked_for_and_not_there_fails(machine: Machine, settings: dict[str, object], subject: str) -> None:
    assert states(machine, **settings)[subject] is State.FAILED


@pytest.mark.parametrize("machine", [ROOT, USER, Machine(conntrack=(99, 100), taken={"[::]:1": "a (pid 2)"})])
def test_whatever_is_wrong_has_a_remedy(machine: Machine) -> None:
    found = findings(machine, Configuration(capture="sklookup"))
    assert [each for each in found if each.state is not State.OK and not each.remedy] == []


def test_a_nearly_full_conntrack_is_told() -> None:
    found = {each.subject: each for each in findings(Machine(conntrack=(95, 100)), Configuration())}
    assert found["conntrack"].text == "95 of 100 entries: nearly full"
