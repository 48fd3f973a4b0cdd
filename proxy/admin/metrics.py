"""The page that Prometheus reads.

prometheus_client writes the format of what there is little of, `traffic_metrics` of the rest. Invariants: nothing is
counted here; every sample is read when it is asked for; the event loop, on which connections may depend, gets its turn
every few milliseconds while a large cluster's page is written (with 10,000 Services in use 40 MB and 0.6 s of processor
time).
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
from itertools import accumulate
from time import perf_counter

from prometheus_client import CollectorRegistry, Metric, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    UnknownMetricFamily,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from proxy import __version__
from proxy.admin.answer_counts import AnswerCounts
from proxy.admin.dns_metrics import dns_families
from proxy.admin.endpoint_metrics import endpoint_samples
from proxy.admin.inspected import Inspected
from proxy.admin.json_list import LARGEST_PIECE
from proxy.admin.traffic_metrics import TrafficPage
from proxy.admin.turns import TURN
from proxy.model.source_statistics import ResourceStatistics
from proxy.reports.report import ProxyStatistics, WorkerLag, WorkerReport, WorkerUsage
from proxy.reports.traffic_report import Traffic
from proxy.shared_counts.layout import LAG_BOUNDS

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_GAUGES = (
    ("services", "Services known."),
    ("frontends", "Addresses and ports that the plan asks for."),
    ("unbound_frontends", "Frontends that should listen and cannot."),
    ("failing_services", "Services with a port whose endpoints all refuse their clients."),
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
    ("dropped_log_lines_total", "Lines of the log that were lost because nobody took them."),
    ("dropped_access_log_lines_total", "Lines of the access log that were lost because nobody took them."),
)
_WORKER_GAUGES = (
    ("worker_tcp_connections", "tcp_connections", "TCP connections open in the worker."),
    ("worker_udp_flows", "udp_flows", "UDP flows open in the worker."),
    ("worker_descriptors", "descriptors", "File descriptors that the worker's data plane holds."),
    ("worker_descriptor_limit", "descriptor_capacity", "File descriptors that the worker's data plane may hold."),
    ("worker_buffered_bytes", "buffered_bytes", "Bytes that the worker holds for slow readers."),
    ("worker_buffer_limit_bytes", "buffer_capacity", "Bytes that the worker may hold for slow readers."),
)
_RESOURCE_GAUGES = (
    ("watch_objects", "objects", "Objects known of the resource."),
    ("watch_rejected_objects", "rejected", "Objects of the resource that cannot be used."),
)
_RESOURCE_COUNTERS = (
    ("watch_lists_total", "lists", "Complete lists that were taken, the first among them."),
    ("watch_failures_total", "failures", "Requests to the API server that did not end well."),
    ("watch_errors_total", "errors", "ERROR events of the API server, that a version is too old (410) aside."),
    ("watch_decode_errors_total", "unreadable", "Answers of the API server that could not be read."),
)


async def exposition(inspected: Inspected, counts: AnswerCounts) -> AsyncIterator[bytes]:
    """The text that /metrics answers, in pieces."""
    registry = CollectorRegistry()
    registry.register(_Families((*_proxy_families(inspected), *_answer_families(counts))))
    registry.register(_WithoutCreationTimes(inspected.measurements))
    ProcessCollector(registry=registry)
    # To count its descriptors, a process lists them all.
    yield await asyncio.to_thread(generate_latest, registry)
    yield await endpoint_samples(inspected.endpoint_states())
    page = await _traffic_page(inspected.traffic())
    for piece in page.pieces(LARGEST_PIECE):
        yield piece


async def _traffic_page(traffic: Traffic) -> TrafficPage:
    """Read and write what passed, while others get their turn: a large cluster's is megabytes."""
    page = TrafficPage(traffic.reasons)
    begun = perf_counter()
    for port in traffic.ports:
        if port is not None:
            page.add(port)
        if perf_counter() - begun >= TURN:
            await asyncio.sleep(0)
            begun = perf_counter()
    return page


class _Families(Collector):
    """Families that were read before."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = tuple(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


class _WithoutCreationTimes(Collector):
    """A registry's families; when a counter was made says nothing here, and is a series each."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        for family in self._registry.collect():
            family.samples = [sample for sample in family.samples if not sample.name.endswith("_created")]
            yield family


def _proxy_families(inspected: Inspected) -> Iterator[Metric]:
    statistics = inspected.statistics()
    for name, text in _GAUGES:
        yield GaugeMetricFamily(f"svcproxy_{name}", text, value=getattr(statistics, name))
    for name, text in _COUNTERS:
        yield CounterMetricFamily(f"svcproxy_{name}", text, value=getattr(statistics, name))
    yield from _known_state(statistics.known_state_of)
    yield _no_local_endpoints(statistics)
    yield from _workers(inspected.workers())
    yield from _usages(inspected.usages())
    yield _lags(inspected.lags())
    yield GaugeMetricFamily("svcproxy_control_tasks", "Tasks of the control process's loop.", len(asyncio.all_tasks()))
    yield from _resources(inspected.followed())
    yield from dns_families(inspected.name_service.statistics())
    build = GaugeMetricFamily("svcproxy_build_info", "Always 1; the label says which version runs.", labels=["version"])
    build.add_metric([__version__], 1)
    yield build


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


def _no_local_endpoints(statistics: ProxyStatistics) -> Metric:
    """kube-proxy's name, though it is a gauge; without a type, linters accept it."""
    family = UnknownMetricFamily(
        "kubeproxy_sync_proxy_rules_no_local_endpoints_total",
        "Service ports with a Local traffic policy and endpoints, none of which is on this node.",
        labels=["traffic_policy"],
    )
    family.add_metric(["internal"], statistics.no_local_endpoints_internal)
    family.add_metric(["external"], statistics.no_local_endpoints_external)
    return family


def _workers(workers: Iterable[WorkerReport]) -> Iterator[Metric]:
    workers = tuple(workers)
    yield GaugeMetricFamily(
        "svcproxy_workers_running", "Data planes that run.", sum(worker.state == "running" for worker in workers)
    )
    yield GaugeMetricFamily("svcproxy_workers", "Data planes that there should be.", len(workers))
    restarts = CounterMetricFamily("svcproxy_worker_restarts", "Times that the worker was replaced.", labels=["worker"])
    for worker in workers:
        restarts.add_metric([str(worker.index)], worker.restarts)
    yield restarts
    for name, field, text in _WORKER_GAUGES:
        gauge = GaugeMetricFamily(f"svcproxy_{name}", text, labels=["worker"])
        for worker in workers:
            gauge.add_metric([str(worker.index)], getattr(worker, field))
        yield gauge


def _usages(usages: Iterable[WorkerUsage]) -> Iterator[Metric]:
    time = CounterMetricFamily(
        "svcproxy_worker_cpu_seconds", "Processor time of the worker's process, user and system.", labels=["worker"]
    )
    memory = GaugeMetricFamily(
        "svcproxy_worker_memory_bytes", "Resident memory of the worker's process.", labels=["worker"]
    )
    for each in usages:
        time.add_metric([str(each.index)], each.cpu_seconds)
        memory.add_metric([str(each.index)], each.memory_bytes)
    yield time
    yield memory


def _lags(lags: Iterable[WorkerLag]) -> Metric:
    family = HistogramMetricFamily(
        "svcproxy_worker_loop_lag_seconds",
        "How late the worker came to its tick, of which there are four a second while it has clients.",
        labels=["worker"],
    )
    for lag in lags:
        cumulative = zip((*map(str, LAG_BOUNDS), "+Inf"), accumulate(lag.counts), strict=True)
        family.add_metric([str(lag.index)], buckets=list(cumulative), sum_value=lag.seconds)
    return family


def _resources(resources: Iterable[ResourceStatistics]) -> Iterator[Metric]:
    resources = tuple(resources)
    if not resources:
        return
    for name, field, text in _RESOURCE_GAUGES:
        gauge = GaugeMetricFamily(f"svcproxy_{name}", text, labels=["resource"])
        for each in resources:
            gauge.add_metric([each.resource], getattr(each, field))
        yield gauge
    for name, field, text in _RESOURCE_COUNTERS:
        counter = CounterMetricFamily(f"svcproxy_{name}", text, labels=["resource"])
        for each in resources:
            counter.add_metric([each.resource], getattr(each, field))
        yield counter
    age = GaugeMetricFamily(
        "svcproxy_watch_age_seconds", "How long ago the API server was last heard of.", labels=["resource"]
    )
    for each in resources:
        if each.silent_seconds is not None:
            age.add_metric([each.resource], each.silent_seconds)
    yield age


def _answer_families(counts: AnswerCounts) -> Iterator[Metric]:
    for path, name in (("/healthz", "proxy_healthz"), ("/livez", "proxy_livez")):
        family = CounterMetricFamily(f"kubeproxy_{name}", f"Answers of {path}, by status.", labels=["code"])
        for (counted, code), count in counts.counts.items():
            if counted == path:
                family.add_metric([str(code)], count)
        yield family
