"""The text format of what passed through each Service.

Written by hand, since ten thousand Services in use have hundreds of thousands of samples, each of which
prometheus_client would make an object of. Invariant: a series is there from the first thing that it counts, so that a
Service nobody uses costs nothing; histograms are cumulative, and names and labels are those of the Prometheus text
format 0.0.4.
"""

from collections.abc import Iterator, Sequence
from itertools import compress
from typing import NamedTuple

from proxy.admin.sample_text import CounterText, HistogramText, ReasonText
from proxy.reports.traffic_report import EndpointTraffic, PortTraffic
from proxy.shared_counts.layout import CONNECT_BOUNDS, DURATION_BOUNDS, EndpointCell, PoolCell

_FAMILIES = (
    ("svcproxy_connections_opened_total", "counter", "TCP connections that an endpoint took."),
    ("svcproxy_connections_open", "gauge", "TCP connections open, those still dialling included."),
    ("svcproxy_connections_failed_total", "counter", "TCP connections that no endpoint took, by close reason."),
    ("svcproxy_connections_closed_total", "counter", "TCP connections that are over, by close reason."),
    ("svcproxy_connect_duration_seconds", "histogram", "From a client's accept to its endpoint's."),
    ("svcproxy_connection_duration_seconds", "histogram", "From a TCP connection's accept to its end."),
    ("svcproxy_udp_flows_opened_total", "counter", "UDP flows that began."),
    ("svcproxy_udp_flows_open", "gauge", "UDP flows open."),
    ("svcproxy_udp_flows_failed_total", "counter", "Datagrams that began no flow, by close reason."),
    ("svcproxy_udp_flows_closed_total", "counter", "UDP flows that are over, by close reason."),
    ("svcproxy_udp_flow_duration_seconds", "histogram", "From a UDP flow's first datagram to its end."),
    ("svcproxy_udp_datagrams_received_total", "counter", "Datagrams from clients."),
    ("svcproxy_udp_datagrams_sent_total", "counter", "Datagrams to clients."),
    ("svcproxy_received_bytes_total", "counter", "Bytes from clients, delivered to endpoints."),
    ("svcproxy_sent_bytes_total", "counter", "Bytes from endpoints, delivered to clients."),
    ("svcproxy_connect_retries_total", "counter", "Endpoints tried after another did not take the same client."),
    ("svcproxy_endpoint_ejections_total", "counter", "Endpoints set aside for a while because they took no client."),
    (
        "svcproxy_dropped_packets_total",
        "counter",
        "Clients' packets that were dropped unanswered, by reason. Every try counts; with capture: bind what "
        "overflowed the same sockets counts, too.",
    ),
    ("svcproxy_service_affinity_hits_total", "counter", "Flows that went where their client went before."),
    ("svcproxy_service_affinity_misses_total", "counter", "Flows of clients with affinity that were chosen for anew."),
    ("svcproxy_service_affinity_evictions_total", "counter", "Clients forgotten to make room for others."),
    ("svcproxy_endpoint_opened_total", "counter", "Flows that the endpoint took."),
    ("svcproxy_endpoint_failed_total", "counter", "Flows that the endpoint did not take."),
    ("svcproxy_endpoint_open", "gauge", "Flows open to the endpoint."),
    ("svcproxy_endpoint_received_bytes_total", "counter", "Bytes from clients, delivered to the endpoint."),
    ("svcproxy_endpoint_sent_bytes_total", "counter", "Bytes from the endpoint, delivered to clients."),
)

_SHARED_COUNTERS = (
    (CounterText("svcproxy_received_bytes_total"), int(PoolCell.RECEIVED_BYTES)),
    (CounterText("svcproxy_sent_bytes_total"), int(PoolCell.SENT_BYTES)),
    (CounterText("svcproxy_connect_retries_total"), int(PoolCell.RETRIES)),
    (CounterText("svcproxy_endpoint_ejections_total"), int(PoolCell.EJECTIONS)),
    (CounterText("svcproxy_service_affinity_hits_total"), int(PoolCell.AFFINITY_HITS)),
    (CounterText("svcproxy_service_affinity_misses_total"), int(PoolCell.AFFINITY_MISSES)),
    (CounterText("svcproxy_service_affinity_evictions_total"), int(PoolCell.AFFINITY_EVICTIONS)),
)
_DATAGRAMS = (
    (CounterText("svcproxy_udp_datagrams_received_total"), int(PoolCell.RECEIVED_DATAGRAMS)),
    (CounterText("svcproxy_udp_datagrams_sent_total"), int(PoolCell.SENT_DATAGRAMS)),
)
_ENDPOINT_COUNTERS = (
    (CounterText("svcproxy_endpoint_opened_total"), int(EndpointCell.OPENED)),
    (CounterText("svcproxy_endpoint_failed_total"), int(EndpointCell.FAILED)),
    (CounterText("svcproxy_endpoint_received_bytes_total"), int(EndpointCell.RECEIVED_BYTES)),
    (CounterText("svcproxy_endpoint_sent_bytes_total"), int(EndpointCell.SENT_BYTES)),
)
_ENDPOINT_OPEN = CounterText("svcproxy_endpoint_open")
_DROPPED = ReasonText("svcproxy_dropped_packets_total")
_CONNECTING = HistogramText("svcproxy_connect_duration_seconds", CONNECT_BOUNDS)
# A member of an enumeration is a slower constant.
_OPENED, _FAILED, _CLOSED = int(PoolCell.OPENED), int(PoolCell.FAILED), int(PoolCell.CLOSED)
_CONNECTS, _CONNECT_TIME = int(PoolCell.CONNECT_BUCKETS), int(PoolCell.CONNECT_MICROSECONDS)
_DURATIONS, _DURATION = int(PoolCell.DURATION_BUCKETS), int(PoolCell.DURATION_MILLISECONDS)
_ACTIVE, _INACTIVE = int(EndpointCell.ACTIVE), int(EndpointCell.INACTIVE)


class _FlowTexts(NamedTuple):
    """The families that TCP and UDP have under names of their own."""

    opened: CounterText
    open: CounterText
    failed: ReasonText
    closed: ReasonText
    duration: HistogramText


def _flow_texts(word: str) -> _FlowTexts:
    return _FlowTexts(
        CounterText(f"svcproxy_{word}s_opened_total"),
        CounterText(f"svcproxy_{word}s_open"),
        ReasonText(f"svcproxy_{word}s_failed_total"),
        ReasonText(f"svcproxy_{word}s_closed_total"),
        HistogramText(f"svcproxy_{word}_duration_seconds", DURATION_BOUNDS),
    )


_CONNECTIONS, _FLOWS = _flow_texts("connection"), _flow_texts("udp_flow")


def family_names() -> tuple[str, ...]:
    """Every family that this module writes."""
    return tuple(name for name, _, _ in _FAMILIES)


class TrafficPage:
    """Gathers the samples of one port after another; `pieces` has them in the order that the format asks for.

    `reasons` are the labels of close reasons, in the order of their cells.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        self._reasons = tuple(reason.encode() for reason in reasons)
        self._samples: dict[str, list[bytes]] = {name: [] for name, _, _ in _FAMILIES}

    def add(self, port: PortTraffic) -> None:
        """The samples of one port; none where nothing ever came."""
        cells, samples = port.cells, self._samples
        labels = f'namespace="{port.namespace}",service="{port.service}",port="{port.port}"'.encode()
        labels_and_protocol = b'%b,protocol="%b"' % (labels, port.protocol.encode())
        for reason, count in port.dropped.items():
            samples[_DROPPED.name].append(_DROPPED.of(labels_and_protocol, reason.encode(), count))
        if not (port.open or any(cells)):
            return
        texts = _CONNECTIONS if port.protocol != "UDP" else _FLOWS
        samples[texts.opened.name].append(texts.opened.of(labels, cells[_OPENED]))
        samples[texts.open.name].append(texts.open.of(labels, port.open))
        self._by_reason(texts.failed, labels, cells, _FAILED)
        self._by_reason(texts.closed, labels, cells, _CLOSED)
        self._histogram(texts.duration, labels, cells, _DURATIONS, cells[_DURATION] / 1e3)
        if port.protocol == "UDP":
            self._put_all(_DATAGRAMS, labels, cells)
        else:
            self._histogram(_CONNECTING, labels, cells, _CONNECTS, cells[_CONNECT_TIME] / 1e6)
        self._put_all(_SHARED_COUNTERS, labels_and_protocol, cells)
        for endpoint in port.endpoints:
            named = f',endpoint="{endpoint.endpoint}",pod="{endpoint.pod}"'.encode()
            self._endpoint(labels_and_protocol + named, endpoint)

    def pieces(self, size: int) -> Iterator[bytes]:
        """The page in pieces of some `size` bytes, which are no longer held once they are told; families without a
        sample are left out."""
        for name, kind, about in _FAMILIES:
            samples = self._samples.pop(name)
            if not samples:
                continue
            yield f"# HELP {name} {about}\n# TYPE {name} {kind}\n".encode()
            together = max(1, size // len(samples[0]))
            for first in range(0, len(samples), together):
                yield b"".join(samples[first : first + together])
                samples[first : first + together] = [b""] * min(together, len(samples) - first)

    def _endpoint(self, labels: bytes, endpoint: EndpointTraffic) -> None:
        cells = endpoint.cells
        if not any(cells):
            return
        self._put_all(_ENDPOINT_COUNTERS, labels, cells)
        self._samples[_ENDPOINT_OPEN.name].append(_ENDPOINT_OPEN.of(labels, cells[_ACTIVE] + cells[_INACTIVE]))

    def _put_all(self, counters: Sequence[tuple[CounterText, int]], labels: bytes, cells: Sequence[int]) -> None:
        for text, cell in counters:
            if cells[cell]:
                self._samples[text.name].append(text.of(labels, cells[cell]))

    def _by_reason(self, text: ReasonText, labels: bytes, cells: Sequence[int], first: int) -> None:
        counts = cells[first : first + len(self._reasons)]
        if any(counts):
            samples = self._samples[text.name]
            for reason, count in compress(zip(self._reasons, counts, strict=True), counts):
                samples.append(text.of(labels, reason, count))

    def _histogram(self, text: HistogramText, labels: bytes, cells: Sequence[int], first: int, total: float) -> None:
        counts = cells[first : first + text.buckets]
        if any(counts):
            self._samples[text.name].append(text.of(labels, counts, total))
