"""The counts of the proxy as Prometheus reads them.

Imports this room's reports; prometheus_client writes the format. Invariant: nothing is counted here; every sample is
read from live state when it is asked for.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from proxy.admin.report import ProxyStatistics

CONTENT_TYPE = CONTENT_TYPE_LATEST

_GAUGES = (
    ("services", "Services known."),
    ("frontends", "Addresses and ports that the plan asks for."),
    ("unbound_frontends", "Frontends that should listen and cannot."),
    ("problems", "Objects, files and ports that something is wrong with."),
    ("tcp_connections", "TCP connections open."),
    ("udp_flows", "UDP flows open."),
    ("affinity_entries", "Clients that the ClientIP affinity table remembers."),
)
_COUNTERS = (
    ("affinity_hits_total", "Flows that went where their client went before."),
    ("affinity_misses_total", "Flows of Services with affinity whose client was not remembered."),
    ("affinity_evictions_total", "Clients forgotten to make room for others."),
    ("affinity_expirations_total", "Clients forgotten after their timeout."),
)


def exposition(statistics: ProxyStatistics) -> bytes:
    """The text that /metrics answers."""
    registry = CollectorRegistry()
    registry.register(_Statistics(statistics))
    return generate_latest(registry)


class _Statistics(Collector):
    """One moment's counts as metric families."""

    def __init__(self, statistics: ProxyStatistics) -> None:
        self._statistics = statistics

    def collect(self) -> Iterable[Metric]:
        for name, text in _GAUGES:
            yield GaugeMetricFamily(f"svcproxy_{name}", text, value=getattr(self._statistics, name))
        for name, text in _COUNTERS:
            yield CounterMetricFamily(f"svcproxy_{name}", text, value=getattr(self._statistics, name))
        yield from _known_state(self._statistics.known_state_of)


def _known_state(moment: str) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "svcproxy_serving_known_state", "1 while the last known state serves, the API server being away.", bool(moment)
    )
    if moment:
        yield GaugeMetricFamily(
            "svcproxy_known_state_timestamp_seconds",
            "When the last known state that serves was true.",
            datetime.fromisoformat(moment).timestamp(),
        )
