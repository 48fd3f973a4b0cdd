"""What the HTTP servers ask of the running proxy.

Imports `model` and this room's reports. Invariant: every member reads; none of them changes what the proxy does.
"""

from datetime import datetime
from typing import Protocol

from proxy.admin.recent_changes import RecentChanges
from proxy.admin.report import ProxyReport, ProxyStatistics, ServiceReport, WorkerReport
from proxy.model.changes import ObjectKey
from proxy.model.problem import Problem


class Inspected(Protocol):
    """The proxy, as far as HTTP may see it."""

    @property
    def ready(self) -> bool:
        """The first complete state listens and no drain has begun."""

    @property
    def draining(self) -> bool:
        """The proxy is on its way out."""

    @property
    def last_updated(self) -> datetime:
        """When the last change was applied."""

    @property
    def recent_changes(self) -> RecentChanges:
        """What changed of late."""

    def problems(self) -> tuple[Problem, ...]:
        """Everything that something is wrong with now."""

    def service_report(self, key: ObjectKey) -> ServiceReport | None:
        """One Service at this moment; None if it is not known."""

    def workers(self) -> tuple[WorkerReport, ...]:
        """The data planes, by index."""

    def report(self) -> ProxyReport:
        """Everything at this moment."""

    def statistics(self) -> ProxyStatistics:
        """The counts of this moment."""
