"""Which problems become Events, and when again."""

from proxy.control.service_events import REMINDER, ServiceEvents
from proxy.events.service_event import ServiceEvent
from proxy.model.metadata import ObjectMeta
from proxy.model.problem import Problem
from proxy.model.service import Service

WEB = Service(ObjectMeta(name="web", namespace="shop", uid="uid-web"))
TAKEN = Problem("port 80 is taken", "Service shop/web", reason="FailedToListen")


def events() -> tuple[ServiceEvents, list[ServiceEvent]]:
    recorded: list[ServiceEvent] = []
    return ServiceEvents({WEB.key: WEB}, recorded.append), recorded


def test_a_problem_of_a_service_is_told_once_with_its_uid() -> None:
    subject, recorded = events()
    subject.report([TAKEN], 0.0)
    subject.report([TAKEN], 1.0)
    assert recorded == [ServiceEvent(("shop", "web"), "uid-web", "FailedToListen", "Listen", "port 80 is taken")]


def test_one_that_lasts_is_told_again_and_one_that_returns_too() -> None:
    subject, recorded = events()
    subject.report([TAKEN], 0.0)
    subject.report([TAKEN], REMINDER)
    assert len(recorded) == 2
    subject.report([], REMINDER + 1)
    subject.report([TAKEN], REMINDER + 2)
    assert len(recorded) == 3


def test_problems_of_files_and_servers_are_nobodys_event() -> None:
    subject, recorded = events()
    subject.report([Problem("is wrong", where="a.yaml"), Problem("may not list", "Service shop/web")], 0.0)
    assert recorded == []


def test_a_service_that_is_not_known_is_told_of_without_a_uid() -> None:
    subject, recorded = events()
    subject.report([Problem("SCTP", "Service shop/other", reason="UnsupportedProtocol")], 0.0)
    assert recorded == [ServiceEvent(("shop", "other"), "", "UnsupportedProtocol", "Plan", "SCTP")]
