"""Everything that something is wrong with now: objects, files, ports; told in the log, and in Events about Services.

Invariant: what is said is asked for at that moment, of those who know.
"""

import asyncio
from collections.abc import Callable, Iterable
from time import monotonic

from proxy.control.problem_log import ProblemLog
from proxy.control.reconciler import Reconciler
from proxy.control.service_events import ServiceEvents
from proxy.events.service_event import ServiceEvent
from proxy.model.problem import Problem
from proxy.plan.planner import Planner

REMINDER_INTERVAL = 60.0
"""Seconds between two looks for what lasts."""


class Problems:
    """`record` takes the Events, `of_health_checks` gives what is wrong with their ports, `of_endpoints` which Services
    fail, `of_start` why there is no first state yet. `of_source` is what the source said last, `of_node` what is wrong
    with this machine."""

    def __init__(
        self,
        planner: Planner,
        reconciler: Reconciler,
        of_health_checks: Callable[[], Iterable[Problem]],
        of_endpoints: Callable[[], Iterable[Problem]],
        of_start: Callable[[], Iterable[Problem]],
        record: Callable[[ServiceEvent], None],
    ) -> None:
        self.of_source: tuple[Problem, ...] = ()
        self.of_node: tuple[Problem, ...] = ()
        self._planner = planner
        self._reconciler = reconciler
        self._of_health_checks = of_health_checks
        self._of_endpoints = of_endpoints
        self._of_start = of_start
        self._log = ProblemLog()
        self._events = ServiceEvents(planner.services, record)

    def all(self) -> tuple[Problem, ...]:
        """Those of this moment."""
        unbound = (
            Problem(str(failure), subject=f"Service {failure.frontend.service}", reason="FailedToListen")
            for failure in self._reconciler.failures.values()
        )
        return (*self._of_start(), *self._of_objects(), *unbound, *self._of_health_checks())

    def _of_objects(self) -> tuple[Problem, ...]:
        return (*self.of_source, *self.of_node, *self._planner.problems(), *self._of_endpoints())

    def report(self) -> None:
        """Say what is new, and what is mended. Ports are logged by those who try to have them."""
        self._log.report(self._of_objects())
        self.tell()

    def tell(self) -> None:
        """Let the authors of Services know what is wrong with them."""
        self._events.report(self.all(), monotonic())

    async def keep_telling(self) -> None:
        """Tell what lasts again and again, until cancelled."""
        while True:
            await asyncio.sleep(REMINDER_INTERVAL)
            self.tell()
