"""What the HTTP servers ask of the running proxy.

Imports this room's reports. Invariant: every member reads; none of them changes what the proxy does.
"""

from datetime import datetime
from typing import Protocol

from proxy.admin.report import ProxyReport, ProxyStatistics


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

    def report(self) -> ProxyReport:
        """Everything at this moment."""

    def statistics(self) -> ProxyStatistics:
        """The counts of this moment."""
