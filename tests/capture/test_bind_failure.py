"""What a person reads about a frontend that could not be bound."""

import errno
import os
import socket

import pytest

from proxy.capture.bind_failure import explain
from proxy.plan.frontend import Frontend, FrontendKey


def frontend(kind: str = "NodePort", port: int = 80, address: str = "127.0.0.1") -> Frontend:
    return Frontend(FrontendKey("TCP", address, port), "web", "default/web", kind)


@pytest.mark.parametrize(
    ("kind", "way_out"),
    [
        ("NodePort", "stop it, or give the Service another nodePort"),
        ("ClusterIP", "stop it, or give the Service another clusterIP or port"),
        ("ExternalIP", "stop it, or give the Service another address or port"),
        ("LoadBalancer", "stop it, or give the Service another address or port"),
    ],
)
def test_a_taken_port_names_its_holder_and_the_way_out(kind: str, way_out: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        text = str(explain(frontend(kind, port), OSError(errno.EADDRINUSE, "")))
    assert text.startswith(f"cannot listen on 127.0.0.1:{port}/TCP: port {port} is taken by ")
    assert f"(pid {os.getpid()}): " in text
    assert text.endswith(way_out)


def test_a_holder_that_cannot_be_seen_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.capture.bind_failure.holder_of", lambda *place: None)
    text = str(explain(frontend(), OSError(errno.EADDRINUSE, "")))
    assert "port 80 is taken: stop it" in text


@pytest.mark.parametrize(
    ("number", "part"),
    [
        (errno.EADDRNOTAVAIL, "the address is not on this machine"),
        (errno.EACCES, "ip_unprivileged_port_start"),
        (errno.EPERM, "ip_unprivileged_port_start"),
        (errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT)),
    ],
)
def test_every_other_reason_is_in_words(number: int, part: str) -> None:
    failure = explain(frontend(), OSError(number, ""))
    assert part in failure.reason
    assert failure.number == number


@pytest.mark.parametrize(
    ("start", "part"),
    [
        (81, "ports below 81 need the capability NET_BIND_SERVICE"),
        (81, "ip_unprivileged_port_start=80)"),
        (80, "a security module or a program of this cgroup forbids it"),
    ],
)
def test_a_low_port_is_one_below_the_bound_of_this_machine(
    monkeypatch: pytest.MonkeyPatch, start: int, part: str
) -> None:
    monkeypatch.setattr("proxy.capture.bind_failure.first_unprivileged_port", lambda: start)
    assert part in explain(frontend(port=80), OSError(errno.EACCES, "")).reason


def test_an_error_without_a_number_speaks_for_itself() -> None:
    assert explain(frontend(), OSError("odd")).reason == "odd"


def test_ipv6_gets_brackets() -> None:
    text = str(explain(frontend(address="::1"), OSError(errno.EADDRNOTAVAIL, "")))
    assert text.startswith("cannot listen on [::1]:80/TCP: ")
