"""Events where authors of Services look for them: `kubectl describe svc`, with a real kubectl."""

import socket

import pytest

from tests.system.harness.eventually import eventually
from tests.system.harness.kubectl import Kubectl
from tests.system.harness.manifests import annotated, port, service
from tests.system.harness.places import Places
from tests.system.harness.svcproxy import Svcproxy

pytestmark = pytest.mark.requires("kubectl")


def events_of(kubectl: Kubectl, name: str) -> str:
    """What stands under Events, empty if that is none."""
    text = kubectl("describe", "svc", name).partition("Events:")[2].strip()
    return "" if text == "<none>" else text


def wait_for_events(kubectl: Kubectl, name: str) -> str:
    return eventually(lambda: events_of(kubectl, name), f"an Event of {name}")


def test_a_service_that_cannot_be_served_as_asked_says_so(
    standalone: Svcproxy, kubectl: Kubectl, places: Places
) -> None:
    node_port = places.node_port()
    with socket.create_server(("127.0.0.1", node_port)):
        kubectl.apply(
            annotated(service("odd", port(8000)), scheduler="fastest"),
            service("sctp", port(8001, protocol="SCTP")),
            service("taken", port(8002, nodePort=node_port), type="NodePort"),
        )
        for name, reason, words in (
            ("odd", "UnknownScheduler", 'Unsupported value: "fastest"'),
            ("sctp", "UnsupportedProtocol", "SCTP is not supported"),
            ("taken", "FailedToListen", f"port {node_port} is taken"),
        ):
            found = wait_for_events(kubectl, name)
            assert all(part in found for part in ("Warning", reason, "svcproxy", words)), found
    assert "UnknownScheduler" in kubectl("get", "events")


def test_what_is_in_order_has_no_events(standalone: Svcproxy, kubectl: Kubectl) -> None:
    kubectl.apply(service("fine", port(8000)))
    address = kubectl.read("svc", "fine")["spec"]["clusterIP"]
    standalone.wait_until_listening("TCP", address, 8000)
    assert events_of(kubectl, "fine") == ""


def test_a_health_check_port_that_is_taken_is_an_event(standalone: Svcproxy, kubectl: Kubectl, places: Places) -> None:
    health_port = places.node_port()
    with socket.create_server(("127.0.0.1", health_port)):
        kubectl.apply(
            service(
                "lb",
                port(8000),
                type="LoadBalancer",
                externalTrafficPolicy="Local",
                healthCheckNodePort=health_port,
            )
        )
        found = wait_for_events(kubectl, "lb")
        assert "FailedToStartServiceHealthcheck" in found
