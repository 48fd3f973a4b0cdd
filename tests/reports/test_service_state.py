"""What the proxy says it does for a Service."""

import msgspec
import pytest

from proxy.model.service import Service
from proxy.reports.report import EndpointReport, FrontendReport, PoolReport, ServiceReport
from proxy.reports.service_state import level_of, state_of

READY = EndpointReport("127.0.0.1", 8080, "", 1, 0, 0, False)
DRAINED = EndpointReport("127.0.0.1", 8080, "", 0, 0, 0, False)


def frontend(fault: str = "", listening: bool = True) -> FrontendReport:
    return FrontendReport("TCP", "127.96.0.1", 80, "ClusterIP", "web", listening, fault)


def report(
    *frontends: FrontendReport,
    endpoints: tuple[EndpointReport, ...] = (READY,),
    notes: tuple[str, ...] = (),
    failures: tuple[str, ...] = (),
) -> ServiceReport:
    service = msgspec.convert({"metadata": {"name": "web", "namespace": "default"}, "spec": {}}, Service)
    return ServiceReport(service, frontends, (PoolReport("web", "", "TCP", "rr", 0, endpoints),), notes, failures)


def test_a_service_that_listens_is_served() -> None:
    assert state_of(report(frontend())) == "serving"


def test_notes_follow() -> None:
    assert state_of(report(frontend(), notes=("SCTP is unsupported", "two"))) == "serving; SCTP is unsupported; two"


@pytest.mark.parametrize("endpoints", [(), (DRAINED,)])
def test_a_service_without_a_usable_endpoint_says_that_clients_are_refused(
    endpoints: tuple[EndpointReport, ...],
) -> None:
    assert state_of(report(frontend(), endpoints=endpoints)) == "no usable endpoints: clients are refused"


def test_a_service_that_listens_nowhere_says_why_and_each_reason_once() -> None:
    faulty = report(frontend("taken", False), frontend("taken", False), endpoints=(), notes=("note",))
    assert (state_of(faulty), level_of(faulty)) == ("taken", "fault")


def test_a_service_that_listens_on_some_of_its_addresses_serves_there() -> None:
    partial = report(frontend("taken", False), frontend())
    assert (state_of(partial), level_of(partial)) == ("serving on 1 of 2 addresses: taken", "partial")
    empty = report(frontend("taken", False), frontend(), endpoints=())
    assert state_of(empty) == "no usable endpoints: clients are refused; listening on 1 of 2 addresses: taken"
    assert level_of(empty) == "empty"


def test_a_service_whose_endpoints_all_refuse_is_failing() -> None:
    refusing = "port http: 2 of 2 endpoints refuse connections: check targetPort"
    failing = report(frontend(), failures=(refusing,), notes=("SCTP is unsupported",))
    assert (state_of(failing), level_of(failing)) == (f"failing: {refusing}; SCTP is unsupported", "failing")
    partial = report(frontend("taken", False), frontend(), failures=(refusing,))
    assert state_of(partial) == f"failing: {refusing}; listening on 1 of 2 addresses: taken"
    assert level_of(partial) == "failing"


@pytest.mark.parametrize(
    ("notes", "state"),
    [
        (("headless",), "not proxied: headless"),
        ((), "not proxied: it has no address and port to listen on"),
    ],
)
def test_a_service_without_a_frontend_says_why(notes: tuple[str, ...], state: str) -> None:
    assert state_of(report(notes=notes)) == state
