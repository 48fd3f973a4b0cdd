"""What is measured of putting changes into force, under kube-proxy's names where the meaning is the same.

prometheus_client keeps the numbers. Invariants: each label has a fixed, small set of values; a change that was
triggered before this process began tells nothing about it and is not measured (pkg/proxy/metrics/metrics.go,
pkg/proxy/endpointschangetracker.go).
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from proxy.model.changes import Changes
from proxy.model.endpoint_slice import LAST_CHANGE_TRIGGER_TIME, EndpointSlice

_SYNC_BUCKETS = tuple(0.001 * 2**exponent for exponent in range(15))
_PROGRAMMING_BUCKETS = (
    0.25,
    0.5,
    *(float(second) for second in range(1, 60)),
    *(float(second) for second in range(60, 120, 5)),
    *(float(second) for second in range(120, 301, 30)),
)
_LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_FAMILIES = ("IPv4", "IPv6")
_BY_FAMILY = ("ip_family",)


class SyncMetrics:
    """`registry` has everything. `began` is when this process did; moments are aware datetimes."""

    def __init__(self, began: datetime) -> None:
        self._began = began
        registry = self.registry = CollectorRegistry(auto_describe=True)

        def histogram(name: str, about: str) -> Histogram:
            return Histogram(f"kubeproxy_{name}", about, _BY_FAMILY, buckets=_SYNC_BUCKETS, registry=registry)

        def gauge(name: str, about: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(f"kubeproxy_sync_proxy_rules_{name}", about, labels, registry=registry)

        def counter(name: str, about: str) -> Counter:
            return Counter(f"kubeproxy_sync_proxy_rules_{name}", about, registry=registry)

        self._all = histogram("sync_proxy_rules_duration_seconds", "From a change's coming to its being in force.")
        self._full = histogram("sync_full_proxy_rules_duration_seconds", "So, where every Service was planned.")
        self._partial = histogram("sync_partial_proxy_rules_duration_seconds", "So, for changes to some Services.")
        self._programming = Histogram(
            "kubeproxy_network_programming_duration_seconds",
            "From the change of an endpoint, as the endpoint's controller saw it, to its being in force here.",
            _BY_FAMILY,
            buckets=_PROGRAMMING_BUCKETS,
            registry=registry,
        )
        self._last = gauge("last_timestamp_seconds", "When a change was last put into force.", _BY_FAMILY)
        self._queued = gauge("last_queued_timestamp_seconds", "When a change last came.", _BY_FAMILY)
        self._endpoint_changes = counter("endpoint_changes", "EndpointSlices that came, changed or went.")
        self._service_changes = counter("service_changes", "Services that came, changed or went.")
        self._endpoints_pending = gauge("endpoint_changes_pending", "EndpointSlice changes not yet in force.")
        self._services_pending = gauge("service_changes_pending", "Service changes not yet in force.")
        self.loop_lag = Histogram(
            "svcproxy_loop_lag_seconds",
            "How late the control process came to something that was due.",
            buckets=_LAG_BUCKETS,
            registry=registry,
        )
        for family in _FAMILIES:
            for each in (self._all, self._full, self._partial, self._programming, self._last, self._queued):
                each.labels(family)

    def queued(self, changes: Changes, moment: datetime) -> None:
        """A change came."""
        for family in _FAMILIES:
            self._queued.labels(family).set(moment.timestamp())
        slices, services = _slice_changes(changes), _service_changes(changes)
        self._endpoint_changes.inc(slices)
        self._service_changes.inc(services)
        self._endpoints_pending.set(slices)
        self._services_pending.set(services)

    def synced(self, slices: Iterable[EndpointSlice], seconds: float, moment: datetime, *, full: bool) -> None:
        """A change is in force, these slices with it, after so many seconds."""
        self._endpoints_pending.set(0)
        self._services_pending.set(0)
        for family in _FAMILIES:
            for each in (self._all, self._full if full else self._partial):
                each.labels(family).observe(seconds)
            self._last.labels(family).set(moment.timestamp())
        for endpoint_slice in slices:
            triggered = trigger_time(endpoint_slice)
            if triggered is not None and triggered > self._began and endpoint_slice.address_type in _FAMILIES:
                waited = max(0.0, (moment - triggered).total_seconds())
                self._programming.labels(endpoint_slice.address_type).observe(waited)


def trigger_time(endpoint_slice: EndpointSlice) -> datetime | None:
    """When the change that this slice came with was triggered; None where that is not said, or not readably."""
    text = endpoint_slice.metadata.annotations.get(LAST_CHANGE_TRIGGER_TIME, "")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _slice_changes(changes: Changes) -> int:
    return len(changes.slices) + len(changes.removed_slices)


def _service_changes(changes: Changes) -> int:
    return len(changes.services) + len(changes.removed_services)
