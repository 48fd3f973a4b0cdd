"""From what is wrong with Services to Events about them.

Invariant: a problem that stays gives one Event when it comes, and is counted again now and then while it lasts, because
Events are forgotten after an hour.
"""

from collections.abc import Callable, Iterable, Mapping

from proxy.events.service_event import ServiceEvent
from proxy.model.changes import ObjectKey
from proxy.model.problem import Problem
from proxy.model.service import Service

REMINDER = 1200.0
"""Seconds after which a problem that lasts is told again."""

_ACTIONS = {
    "EndpointsRefuse": "Connect",
    "FailedToListen": "Listen",
    "FailedToStartServiceHealthcheck": "Listen",
    "PortAlreadyServed": "Listen",
}
_OTHER_ACTION = "Plan"
_SERVICE = "Service "


class ServiceEvents:
    """`record` takes what is to be told. `services` is live."""

    def __init__(self, services: Mapping[ObjectKey, Service], record: Callable[[ServiceEvent], None]) -> None:
        self._services = services
        self._record = record
        self._told: dict[Problem, float] = {}

    def report(self, problems: Iterable[Problem], now: float) -> None:
        """Everything that is wrong now, compared with the last call. Only what has a `reason` is about a Service."""
        before, self._told = self._told, {}
        for problem in problems:
            if not problem.reason:
                continue
            told = before.get(problem)
            if told is None or now - told >= REMINDER:
                told = now
                self._tell(problem)
            self._told[problem] = told

    def _tell(self, problem: Problem) -> None:
        namespace, _, name = problem.subject.removeprefix(_SERVICE).partition("/")
        service = self._services.get((namespace, name))
        uid = service.metadata.uid if service is not None else ""
        action = _ACTIONS.get(problem.reason, _OTHER_ACTION)
        self._record(ServiceEvent((namespace, name), uid, problem.reason, action, problem.message))
