"""The text format of what passed through each Service.

Imports this room's report and the layout of the counts. Written by hand, since ten thousand Services in use have
hundreds of thousands of samples, each of which prometheus_client would make an object of. Invariant: a series is there
from the first thing that it counts, so that a Service nobody uses costs nothing; histograms are cumulative, and names
and labels are those of the Prometheus text format 0.0.4.
"""

from collections.abc import Iterator, Sequence

from proxy.admin.traffic_report import EndpointTraffic, PortTraffic
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
    ("svcproxy_received_bytes_total", PoolCell.RECEIVED_BYTES),
    ("svcproxy_sent_bytes_total", PoolCell.SENT_BYTES),
    ("svcproxy_connect_retries_total", PoolCell.RETRIES),
    ("svcproxy_endpoint_ejections_total", PoolCell.EJECTIONS),
    ("svcproxy_service_affinity_hits_total", PoolCell.AFFINITY_HITS),
    ("svcproxy_service_affinity_misses_total", PoolCell.AFFINITY_MISSES),
    ("svcproxy_service_affinity_evictions_total", PoolCell.AFFINITY_EVICTIONS),
)
_DATAGRAMS = (
    ("svcproxy_udp_datagrams_received_total", PoolCell.RECEIVED_DATAGRAMS),
    ("svcproxy_udp_datagrams_sent_total", PoolCell.SENT_DATAGRAMS),
)
_ENDPOINT_COUNTERS = (
    ("svcproxy_endpoint_opened_total", EndpointCell.OPENED),
    ("svcproxy_endpoint_failed_total", EndpointCell.FAILED),
    ("svcproxy_endpoint_received_bytes_total", EndpointCell.RECEIVED_BYTES),
    ("svcproxy_endpoint_sent_bytes_total", EndpointCell.SENT_BYTES),
)


def family_names() -> tuple[str, ...]:
    """Every family that this module writes."""
    return tuple(name for name, _, _ in _FAMILIES)


class TrafficPage:
    """Gathers the samples of one port after another; `text` puts them in the order that the format asks for."""

    def __init__(self, reasons: Sequence[str]) -> None:
        self._reasons = reasons
        self._samples: dict[str, list[str]] = {name: [] for name, _, _ in _FAMILIES}

    def add(self, port: PortTraffic) -> None:
        """The samples of one port; none where nothing ever came."""
        labels = f'namespace="{port.namespace}",service="{port.service}",port="{port.port}"'
        for reason, count in port.dropped.items():
            dropped = f'{labels},protocol="{port.protocol}",reason="{reason}"'
            self._put("svcproxy_dropped_packets_total", dropped, count)
        if not (port.open or any(port.cells)):
            return
        cells = port.cells
        word = "udp_flow" if port.protocol == "UDP" else "connection"
        self._put(f"svcproxy_{word}s_opened_total", labels, cells[PoolCell.OPENED])
        self._put(f"svcproxy_{word}s_open", labels, port.open)
        self._by_reason(f"svcproxy_{word}s_failed_total", labels, cells, PoolCell.FAILED)
        self._by_reason(f"svcproxy_{word}s_closed_total", labels, cells, PoolCell.CLOSED)
        lived = cells[PoolCell.DURATION_MILLISECONDS] / 1e3
        self._histogram(
            f"svcproxy_{word}_duration_seconds", labels, cells, PoolCell.DURATION_BUCKETS, DURATION_BOUNDS, lived
        )
        if port.protocol == "UDP":
            self._put_all(_DATAGRAMS, labels, cells)
        else:
            took = cells[PoolCell.CONNECT_MICROSECONDS] / 1e6
            self._histogram(
                "svcproxy_connect_duration_seconds", labels, cells, PoolCell.CONNECT_BUCKETS, CONNECT_BOUNDS, took
            )
        labels = f'{labels},protocol="{port.protocol}"'
        self._put_all(_SHARED_COUNTERS, labels, cells)
        for endpoint in port.endpoints:
            self._endpoint(f'{labels},endpoint="{endpoint.endpoint}",pod="{endpoint.pod}"', endpoint)

    def text(self) -> Iterator[str]:
        """The page, a family at a time; families without a sample are left out."""
        for name, kind, about in _FAMILIES:
            if samples := self._samples[name]:
                yield f"# HELP {name} {about}\n# TYPE {name} {kind}\n{''.join(samples)}"

    def _endpoint(self, labels: str, endpoint: EndpointTraffic) -> None:
        cells = endpoint.cells
        if not any(cells):
            return
        self._put_all(_ENDPOINT_COUNTERS, labels, cells)
        self._put("svcproxy_endpoint_open", labels, cells[EndpointCell.ACTIVE] + cells[EndpointCell.INACTIVE])

    def _put(self, name: str, labels: str, value: int) -> None:
        self._samples[name].append(f"{name}{{{labels}}} {value}\n")

    def _put_all(self, counters: Sequence[tuple[str, int]], labels: str, cells: Sequence[int]) -> None:
        for name, cell in counters:
            if cells[cell]:
                self._samples[name].append(f"{name}{{{labels}}} {cells[cell]}\n")

    def _by_reason(self, name: str, labels: str, cells: Sequence[int], first: int) -> None:
        for reason, count in zip(self._reasons, cells[first : first + len(self._reasons)], strict=True):
            if count:
                self._samples[name].append(f'{name}{{{labels},reason="{reason}"}} {count}\n')

    def _histogram(
        self, name: str, labels: str, cells: Sequence[int], first: int, bounds: Sequence[float], total: float
    ) -> None:
        counts = cells[first : first + len(bounds) + 1]
        if not any(counts):
            return
        lines, below = self._samples[name], 0
        for bound, count in zip(bounds, counts, strict=False):
            below += count
            lines.append(f'{name}_bucket{{{labels},le="{bound}"}} {below}\n')
        below += counts[-1]
        lines.append(f'{name}_bucket{{{labels},le="+Inf"}} {below}\n')
        lines.append(f"{name}_sum{{{labels}}} {total}\n{name}_count{{{labels}}} {below}\n")
