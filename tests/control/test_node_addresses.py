"""Which addresses node ports listen on, on a machine whose interfaces the test makes up."""

import socket
from types import SimpleNamespace

import psutil
import pytest

from proxy.configuration.config import Configuration
from proxy.control.node_addresses import node_address_problems, node_port_addresses

V4, V6 = socket.AF_INET, socket.AF_INET6
INTERFACES: dict[str, list[tuple[int, str]]] = {
    "lo": [(V4, "127.0.0.1"), (V6, "::1")],
    "eth0": [(V4, "192.0.2.7"), (V6, "2001:db8::7"), (V6, "fe80::1%eth0"), (psutil.AF_LINK, "02:00:00:00:00:01")],
    "eth1": [(V4, "198.51.100.7")],
}


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {
        name: [SimpleNamespace(family=family, address=address) for family, address in entries]
        for name, entries in INTERFACES.items()
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)


@pytest.mark.parametrize(
    ("cidrs", "addresses"),
    [
        ((), ("0.0.0.0", "::")),
        (("192.0.2.0/24",), ("192.0.2.7", "::")),
        (("192.0.2.0/24", "198.51.100.0/24", "2001:db8::/32"), ("192.0.2.7", "198.51.100.7", "2001:db8::7")),
        (("0.0.0.0/0", "192.0.2.0/24", "::1/128"), ("0.0.0.0", "::1")),
        (("127.0.0.0/8", "::/0"), ("127.0.0.1", "::")),
        (("127.1.2.3/32", "::/0"), ("127.1.2.3", "::")),
        (("203.0.113.9/32", "::1/128"), ("::1",)),
        (("203.0.113.0/24", "fe80::/10"), ()),
    ],
)
def test_node_ports_listen_on_what_the_ranges_contain(cidrs: tuple[str, ...], addresses: tuple[str, ...]) -> None:
    assert node_port_addresses(Configuration(node_port_addresses=cidrs)) == addresses


@pytest.mark.parametrize(
    ("bind_address", "addresses"),
    [("0.0.0.0", ("0.0.0.0", "::")), ("::", ("0.0.0.0", "::")), ("127.0.0.1", ("127.0.0.1",))],
)
def test_without_ranges_the_bind_address_decides(bind_address: str, addresses: tuple[str, ...]) -> None:
    assert node_port_addresses(Configuration(bind_address=bind_address)) == addresses


class Routed(socket.socket):
    """A socket whose connect finds a route for IPv4 alone."""

    def connect(self, address: object) -> None:
        if self.family == V6:
            raise OSError(101, "Network is unreachable")

    def getsockname(self) -> tuple[str, int]:
        return ("192.0.2.7", 40000)


def test_primary_is_the_address_of_each_family_that_has_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", Routed)
    assert node_port_addresses(Configuration(node_port_addresses=("primary",))) == ("192.0.2.7",)


@pytest.mark.parametrize(
    ("cidrs", "messages"),
    [
        ((), []),
        (("192.0.2.0/24", "2001:db8::/32"), []),
        (("0.0.0.0/0",), []),
        (
            ("203.0.113.0/24", "10.0.0.0/8", "2001:db8::/32"),
            ["no IPv4 address of this machine is in 203.0.113.0/24, 10.0.0.0/8: node ports do not listen"],
        ),
        (
            ("192.0.2.0/24", "fd00::/8"),
            ["no IPv6 address of this machine is in fd00::/8: node ports do not listen"],
        ),
    ],
)
def test_a_family_that_no_address_matches_is_told(cidrs: tuple[str, ...], messages: list[str]) -> None:
    configuration = Configuration(node_port_addresses=cidrs)
    problems = node_address_problems(configuration, node_port_addresses(configuration))
    assert [str(problem) for problem in problems] == [f"nodePortAddresses: {message}" for message in messages]


def test_a_machine_without_a_main_address_is_told() -> None:
    (problem,) = node_address_problems(Configuration(node_port_addresses=("primary",)), ())
    assert str(problem) == "nodePortAddresses: this machine has no main address: node ports listen nowhere"
