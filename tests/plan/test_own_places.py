"""Who of this proxy is at an endpoint's place."""

import pytest

from proxy.plan.frontend import Frontend, FrontendKey
from proxy.plan.local_addresses import LocalAddresses
from proxy.plan.own_places import OwnListener, OwnPlaces

LOCAL = LocalAddresses(frozenset(["192.0.2.1", "2001:db8::1"]), ("10.96.0.0/16", "fd00::/112"))
FRONTENDS = (
    FrontendKey("TCP", "10.96.0.1", 80),
    FrontendKey("UDP", "fd00::1", 53),
    FrontendKey("TCP", "0.0.0.0", 30080),
    FrontendKey("TCP", "::", 30080),
    FrontendKey("TCP", "203.0.113.9", 443),
)
LISTENERS = (
    OwnListener(FrontendKey("TCP", "0.0.0.0", 10256), "health address"),
    OwnListener(FrontendKey("TCP", "::", 10249), "metrics address"),
    OwnListener(FrontendKey("TCP", "127.0.0.1", 6443), "Kubernetes API", "default/kubernetes"),
)


def places() -> OwnPlaces:
    known = {key: Frontend(key, "pool", "default/b", "ClusterIP") for key in FRONTENDS}
    found = OwnPlaces(LISTENERS, LOCAL.lookup(), known.get)
    for key in known:
        found.add(key)
    return found


@pytest.mark.parametrize(
    ("protocol", "address", "port"),
    [
        ("TCP", "10.96.0.1", 80),
        ("UDP", "fd00::1", 53),
        ("TCP", "192.0.2.1", 30080),
        ("TCP", "2001:db8::1", 30080),
        ("TCP", "127.0.0.1", 30080),
        ("TCP", "127.9.9.9", 30080),
        ("TCP", "::1", 30080),
        # Nothing listens there but the wildcard, and the range is routed to this machine.
        ("TCP", "10.96.7.7", 30080),
        # No interface has it, but a frontend makes it local.
        ("TCP", "203.0.113.9", 30080),
    ],
)
def test_a_frontend_is_found_under_its_address_and_the_wildcard_under_every_local_one(
    protocol: str, address: str, port: int
) -> None:
    assert places().occupant("default/a", protocol, address, port) == "the ClusterIP of default/b"


@pytest.mark.parametrize(
    ("protocol", "address", "port"),
    [
        ("UDP", "10.96.0.1", 80),
        ("TCP", "10.96.0.1", 81),
        ("TCP", "10.0.0.1", 80),
        ("TCP", "192.0.2.9", 30080),
        ("UDP", "127.0.0.1", 30080),
    ],
)
def test_other_places_are_free(protocol: str, address: str, port: int) -> None:
    assert places().occupant("default/a", protocol, address, port) == ""


@pytest.mark.parametrize(
    ("address", "port", "what"),
    [
        ("192.0.2.1", 10256, "health address"),
        ("127.0.0.1", 10256, "health address"),
        ("2001:db8::1", 10249, "metrics address"),
        ("127.0.0.1", 10249, "metrics address"),
        ("127.0.0.1", 6443, "Kubernetes API"),
    ],
)
def test_the_proxys_own_addresses_are_found_likewise(address: str, port: int, what: str) -> None:
    assert places().occupant("default/a", "TCP", address, port) == f"this proxy's own {what}"


@pytest.mark.parametrize("address", ["192.0.2.1", "::1"])
def test_the_api_on_loopback_is_not_found_elsewhere(address: str) -> None:
    assert places().occupant("default/a", "TCP", address, 6443) == ""


def test_the_service_that_names_the_api_may_lead_there() -> None:
    assert places().occupant("default/kubernetes", "TCP", "127.0.0.1", 6443) == ""


def test_a_frontend_that_is_gone_is_forgotten() -> None:
    found = places()
    found.remove(FRONTENDS[4])
    assert not found.has("203.0.113.9")
    assert found.occupant("default/a", "TCP", "203.0.113.9", 30080) == ""
