"""Whether the proxy keeps up with what it is told, kube-proxy's measure of health, and whether it wants traffic.

Pure: clocks are arguments. Invariants: what has nothing to do is healthy for ever; what has had something to do for
longer than the timeout, and did not get it done, is not; a proxy that drains is never ready again
(pkg/proxy/healthcheck/proxy_health.go).
"""

from datetime import datetime

from proxy.reports.report import FamilyHealth, HealthReport

TIMEOUT = 60.0
"""Seconds; kube-proxy takes twice its sync period, which is 30 s."""

_FAMILIES = ("IPv4", "IPv6")


class ProxyHealth:
    """`now` is monotonic seconds, `moment` the time of day. `node_eligible` is what the node says of itself.

    Both families are always synced together here, so they fare alike.
    """

    def __init__(self, moment: datetime) -> None:
        self._waiting_since: float | None = None
        self.last_updated = moment
        self.node_eligible = True
        self.ready = False
        self.draining = False

    def queued(self, now: float) -> None:
        """A change waits to be put into force."""
        if self._waiting_since is None:
            self._waiting_since = now

    def updated(self, moment: datetime) -> None:
        """Everything that was queued is in force."""
        self._waiting_since = None
        self.last_updated = moment

    def serve(self) -> None:
        """The first complete state listens."""
        self.ready = not self.draining

    def drain(self) -> None:
        """The proxy is on its way out."""
        self.ready, self.draining = False, True

    def is_healthy(self, now: float) -> bool:
        """Whether nothing has waited for too long."""
        return self._waiting_since is None or now - self._waiting_since <= TIMEOUT

    def wants_traffic(self, now: float) -> bool:
        """As health checks of Services say it."""
        return self.is_healthy(now) and not self.draining

    def report(self, now: float, moment: datetime) -> HealthReport:
        """As /healthz says it: a proxy that drains wants no new traffic on its node."""
        healthy = self.is_healthy(now)
        return HealthReport(
            last_updated=self.last_updated,
            current_time=moment,
            node_eligible=self.node_eligible and not self.draining,
            healthy=healthy,
            status={family: FamilyHealth(self.last_updated, healthy) for family in _FAMILIES},
        )
