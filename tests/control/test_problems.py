"""Problems of objects, files and ports, gathered and told."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.capture.bind_failure import BindFailure
from proxy.control import problems
from proxy.control.problems import Problems
from proxy.events.service_event import ServiceEvent
from proxy.model.problem import Problem
from proxy.plan.frontend import Frontend, FrontendKey

OF_FILE = Problem("is wrong", where="a.yaml")
OF_PLAN = Problem("is claimed twice", "Service default/web", reason="PortAlreadyServed")
OF_ENDPOINTS = Problem("2 of 2 endpoints refuse", "Service default/web", reason="EndpointsRefuse")
OF_HEALTH_CHECK = Problem("is taken", "Service default/web", reason="FailedToStartServiceHealthcheck")
WEB = FrontendKey("TCP", "127.96.7.1", 80)


class Parts:
    """Those who know what is wrong, and what was recorded of it."""

    def __init__(self) -> None:
        self.planned: list[Problem] = []
        self.failures: dict[FrontendKey, BindFailure] = {}
        self.of_health_checks: list[Problem] = []
        self.recorded: list[ServiceEvent] = []
        planner: Any = SimpleNamespace(services={}, problems=lambda: tuple(self.planned))
        reconciler: Any = SimpleNamespace(failures=self.failures)
        self.of_endpoints: list[Problem] = []
        self.of_start: list[Problem] = []
        self.problems = Problems(
            planner,
            reconciler,
            lambda: self.of_health_checks,
            lambda: self.of_endpoints,
            lambda: self.of_start,
            self.recorded.append,
        )

    def fail(self) -> None:
        self.failures[WEB] = BindFailure(Frontend(WEB, "web", "default/web", "ClusterIP"), "port 80 is taken")


@pytest.fixture
def parts() -> Parts:
    return Parts()


def test_what_keeps_the_first_state_away_is_a_problem(parts: Parts) -> None:
    parts.of_start.append(Problem("API server: cannot list services"))
    assert parts.problems.all() == (Problem("API server: cannot list services"),)


def test_all_that_is_wrong_is_in_one_place(parts: Parts) -> None:
    assert parts.problems.all() == ()
    parts.problems.of_source = (OF_FILE,)
    parts.planned.append(OF_PLAN)
    parts.of_health_checks.append(OF_HEALTH_CHECK)
    parts.fail()
    of_file, of_plan, unbound, of_health_check = parts.problems.all()
    assert (of_file, of_plan, of_health_check) == (OF_FILE, OF_PLAN, OF_HEALTH_CHECK)
    assert (unbound.subject, unbound.reason) == ("Service default/web", "FailedToListen")
    assert "port 80 is taken" in unbound.message
    parts.failures.clear()
    assert len(parts.problems.all()) == 3


def test_objects_and_files_are_logged_and_services_get_events(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    parts.problems.of_source = (OF_FILE,)
    parts.planned.append(OF_PLAN)
    parts.of_endpoints.append(OF_ENDPOINTS)
    parts.fail()
    parts.problems.report()
    parts.problems.report()
    assert [record.message for record in caplog.records] == [
        "Service default/web: 2 of 2 endpoints refuse",
        "Service default/web: is claimed twice",
        "a.yaml: is wrong",
    ]
    told = [(event.reason, event.action) for event in parts.recorded]
    assert told == [("PortAlreadyServed", "Listen"), ("EndpointsRefuse", "Connect"), ("FailedToListen", "Listen")]


async def test_what_comes_between_two_changes_is_told(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "REMINDER_INTERVAL", 0.001)
    told = asyncio.create_task(parts.problems.keep_telling())
    parts.of_health_checks.append(OF_HEALTH_CHECK)
    async with asyncio.timeout(10):
        while not parts.recorded:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)
    told.cancel()
    assert [event.reason for event in parts.recorded] == ["FailedToStartServiceHealthcheck"]
