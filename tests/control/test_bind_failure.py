"""What a person reads about a frontend that could not be bound."""

import errno
import os
import socket

import pytest

from proxy.control.bind_failure import explain
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
    monkeypatch.setattr("proxy.control.bind_failure.holder_of", lambda *place: None)
    text = str(explain(frontend(), OSError(errno.EADDRINUSE, "")))
    assert "port 80 is taken: stop it" in text


@pytest.mark.parametrize(
    ("number", "part"),
    [
        (errno.EADDRNOTAVAIL, "the address is not on this machine"),
        (errno.EACCES, "NET_BIND_SERVICE"),
        (errno.EPERM, "NET_BIND_SERVICE"),
        (errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT)),
    ],
)
def test_every_other_reason_is_in_words(number: int, part: str) -> None:
    failure = explain(frontend(), OSError(number, ""))
    assert part in failure.reason
    assert failure.number == number


def test_an_error_without_a_number_speaks_for_itself() -> None:
    assert explain(frontend(), OSError("odd")).reason == "odd"


def test_ipv6_gets_brackets() -> None:
    text = str(explain(frontend(address="::1"), OSError(errno.EADDRNOTAVAIL, "")))
    assert text.startswith("cannot listen on [::1]:80/TCP: ")
