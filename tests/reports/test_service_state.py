"""What the proxy says it does for a Service."""

import msgspec
import pytest

from proxy.model.service import Service
from proxy.reports.report import EndpointReport, FrontendReport, PoolReport, ServiceReport
from proxy.reports.service_state import state_of

READY = EndpointReport("127.0.0.1", 8080, "", 1, 0, 0, False)
DRAINED = EndpointReport("127.0.0.1", 8080, "", 0, 0, 0, False)


def frontend(fault: str = "", listening: bool = True) -> FrontendReport:
    return FrontendReport("TCP", "127.96.0.1", 80, "ClusterIP", "web", listening, fault)


def report(
    *frontends: FrontendReport, endpoints: tuple[EndpointReport, ...] = (READY,), notes: tuple[str, ...] = ()
) -> ServiceReport:
    service = msgspec.convert({"metadata": {"name": "web", "namespace": "default"}, "spec": {}}, Service)
    return ServiceReport(service, frontends, (PoolReport("web", "", "TCP", "rr", 0, endpoints),), notes)


def test_a_service_that_listens_is_served() -> None:
    assert state_of(report(frontend())) == "serving"


def test_notes_follow() -> None:
    assert state_of(report(frontend(), notes=("SCTP is unsupported", "two"))) == "serving; SCTP is unsupported; two"


@pytest.mark.parametrize("endpoints", [(), (DRAINED,)])
def test_a_service_without_a_usable_endpoint_says_that_clients_are_refused(
    endpoints: tuple[EndpointReport, ...],
) -> None:
    assert state_of(report(frontend(), endpoints=endpoints)) == "no usable endpoints: clients are refused"


def test_faults_come_before_anything_else_and_each_once() -> None:
    faulty = report(frontend("taken", False), frontend(), frontend("taken", False), endpoints=(), notes=("note",))
    assert state_of(faulty) == "taken"


@pytest.mark.parametrize(
    ("notes", "state"),
    [
        (("headless",), "not proxied: headless"),
        ((), "not proxied: it has no address and port to listen on"),
    ],
)
def test_a_service_without_a_frontend_says_why(notes: tuple[str, ...], state: str) -> None:
    assert state_of(report(notes=notes)) == state
