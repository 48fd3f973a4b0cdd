"""`svcproxy describe` against a server that answers as the running proxy does."""

import pytest
from msgspec.structs import replace

from proxy.admin.api_answers import ChangesAnswer, ProblemsAnswer, ServicesAnswer
from proxy.client.describe_service import describe_service
from proxy.model.problem import Problem
from proxy.reports.recent_changes import Change
from proxy.reports.report import ServiceReport
from tests.commands.answering import Answering, Run, Start, ok
from tests.commands.answers import API, WEB

CHANGES = (
    Change(1, "2026-03-01T00:00:00Z", "default/web", "added", "served on 127.96.0.1:80"),
    Change(2, "2026-03-01T00:00:05Z", "default/api", "added", "of another"),
)
PROBLEMS = (Problem("port 80 is taken", "Service default/web"), Problem("is wrong", "Service default/api"))


@pytest.fixture
def proxy(answering: Start) -> Answering:
    return answering(
        {
            "/api/v1/services": ok(ServicesAnswer((API, WEB))),
            "/api/v1/problems": ok(ProblemsAnswer(PROBLEMS)),
            "/api/v1/changes": ok(ChangesAnswer(2, CHANGES)),
        }
    )


def described(report: ServiceReport) -> list[str]:
    now = 1772323210.0  # 2026-03-01T00:00:10Z
    return [" ".join(line.split()) for line in describe_service(report, PROBLEMS, CHANGES, now).splitlines()]


def test_a_service_is_described_in_full() -> None:
    assert described(WEB) == [
        "Name: web",
        "Namespace: default",
        "Type: ClusterIP",
        "Selector: app=web",
        "IP: 127.96.0.1",
        "Ports: 80/TCP",
        "Session Affinity: None",
        "Scheduler: rr",
        "State: serving",
        "Addresses:",
        "ADDRESS KIND POOL PATH STATE",
        "127.96.0.1:80/TCP ClusterIP web relay listening",
        "Endpoints of http/TCP (web, rr):",
        "ENDPOINT POD WEIGHT ACTIVE INACTIVE OPENED IN OUT STATE",
        "127.0.0.1:8080 web-pod 1 4 0 9 2.0Ki 1.0Ki ready",
        "Problems:",
        "Service default/web: port 80 is taken",
        "Recent changes:",
        "AGE CHANGE",
        "10s served on 127.96.0.1:80",
    ]


def test_what_keeps_it_from_being_served_is_said_where_it_belongs() -> None:
    frontend = replace(WEB.frontends[0], listening=False, fault="port 80 is taken by nginx")
    pool = replace(WEB.pools[0], endpoints=(), affinity_seconds=60)
    spec = replace(WEB.service.spec, session_affinity="ClientIP")
    lines = described(replace(WEB, frontends=(frontend,), pools=(pool,), service=replace(WEB.service, spec=spec)))
    assert "127.96.0.1:80/TCP ClusterIP web relay port 80 is taken by nginx" in lines
    assert "Endpoints of http/TCP (web, rr): <none>" in lines
    assert "Session Affinity: ClientIP, 60 s" in lines


def test_one_service_is_shown(proxy: Answering, run: Run) -> None:
    status, output, errors = run(proxy.address, "describe", "svc", "web")
    assert (status, errors) == (0, "")
    assert output.startswith("Name:              web\n")
    assert "of another" not in output


def test_without_a_name_every_service_of_the_namespace_is(proxy: Answering, run: Run) -> None:
    _, output, _ = run(proxy.address, "describe", "service")
    assert [line.split()[1] for line in output.splitlines() if line.startswith("Name:")] == ["api", "web"]
    assert proxy.requests[0][0] == "/api/v1/services?namespace=default"


def test_one_that_is_not_there_is_an_error(proxy: Answering, run: Run) -> None:
    assert run(proxy.address, "describe", "svc", "none", "-n", "shop") == (
        1,
        "",
        'service "none" not found in namespace shop\n',
    )


def test_a_namespace_without_services_is_none(proxy: Answering, run: Run) -> None:
    proxy.answers["/api/v1/services"] = ok(ServicesAnswer(()))
    assert run(proxy.address, "describe", "svc") == (0, "", "No services in namespace default.\n")


def test_an_unknown_kind_is_a_mistake(proxy: Answering, run: Run) -> None:
    status, _, errors = run(proxy.address, "describe", "pod", "web")
    assert (status, 'unknown kind "pod"' in errors) == (2, True)
