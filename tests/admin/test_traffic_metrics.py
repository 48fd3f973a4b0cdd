"""What passed through Services, in the text format, read by Prometheus's own parser."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from proxy.admin.traffic_metrics import TrafficPage, family_names
from proxy.reports.traffic_report import EndpointTraffic, PortTraffic
from proxy.shared_counts.layout import CONNECT_BOUNDS, ENDPOINTS, POOLS, EndpointCell, PoolCell

REASONS = ("client_closed", "backend_reset", "connect_refused")
WEB = {"namespace": "shop", "service": "web", "port": "http"}


def pool_cells(counts: Mapping[int, int]) -> list[int]:
    return [counts.get(cell, 0) for cell in range(POOLS.width)]


def port(
    counts: Mapping[int, int], protocol: str = "TCP", is_open: int = 0, endpoints: tuple[EndpointTraffic, ...] = ()
) -> PortTraffic:
    return PortTraffic("shop", "web", "http", protocol, is_open, pool_cells(counts), endpoints)


def samples(*ports: PortTraffic) -> list[tuple[str, dict[str, str], float]]:
    page = TrafficPage(REASONS)
    for each in ports:
        page.add(each)
    families = text_string_to_metric_families(b"".join(page.pieces(1000)).decode())
    return [(sample.name, dict(sample.labels), sample.value) for family in families for sample in family.samples]


def test_a_service_that_nobody_uses_costs_nothing() -> None:
    assert samples(port({}), port({}, "UDP")) == []


def test_one_whose_connections_are_all_over_has_none_open() -> None:
    found = samples(port({PoolCell.OPENED: 2, PoolCell.CLOSED + 1: 2}))
    assert ("svcproxy_connections_opened_total", WEB, 2.0) in found
    assert ("svcproxy_connections_open", WEB, 0.0) in found
    assert ("svcproxy_connections_closed_total", WEB | {"reason": "backend_reset"}, 2.0) in found
    assert not [name for name, labels, _ in found if labels.get("reason") == "client_closed"]


def test_udp_has_names_of_its_own_and_shares_what_is_the_same() -> None:
    found = samples(
        port(
            {
                PoolCell.OPENED: 1,
                PoolCell.RECEIVED_DATAGRAMS: 5,
                PoolCell.SENT_DATAGRAMS: 4,
                PoolCell.RECEIVED_BYTES: 50,
                PoolCell.FAILED + 2: 3,
            },
            "UDP",
            is_open=1,
        )
    )
    assert ("svcproxy_udp_flows_open", WEB, 1.0) in found
    assert ("svcproxy_udp_flows_failed_total", WEB | {"reason": "connect_refused"}, 3.0) in found
    assert ("svcproxy_udp_datagrams_received_total", WEB, 5.0) in found
    assert ("svcproxy_udp_datagrams_sent_total", WEB, 4.0) in found
    assert ("svcproxy_received_bytes_total", WEB | {"protocol": "UDP"}, 50.0) in found
    assert not [name for name, _, _ in found if name.startswith("svcproxy_connection")]


def test_what_was_dropped_is_told_alone_where_nothing_passed() -> None:
    only_dropped = PortTraffic("shop", "web", "http", "UDP", 0, pool_cells({}), dropped={"source_ranges": 4})
    labels = WEB | {"protocol": "UDP", "reason": "source_ranges"}
    assert samples(only_dropped) == [("svcproxy_dropped_packets_total", labels, 4.0)]


def test_endpoints_are_named_with_their_pods() -> None:
    cells = [0] * ENDPOINTS.width
    cells[EndpointCell.ACTIVE], cells[EndpointCell.INACTIVE], cells[EndpointCell.OPENED] = 2, 1, 9
    idle = EndpointTraffic("10.0.0.2:80", "web-b", [0] * ENDPOINTS.width)
    found = samples(port({PoolCell.OPENED: 9}, endpoints=(EndpointTraffic("10.0.0.1:80", "web-a", cells), idle)))
    labels = WEB | {"protocol": "TCP", "endpoint": "10.0.0.1:80", "pod": "web-a"}
    assert ("svcproxy_endpoint_open", labels, 3.0) in found
    assert ("svcproxy_endpoint_opened_total", labels, 9.0) in found
    assert not [name for name, labels, _ in found if labels.get("pod") == "web-b"]


@given(st.lists(st.integers(0, 5), min_size=len(CONNECT_BOUNDS) + 1, max_size=len(CONNECT_BOUNDS) + 1))
def test_a_histogram_is_cumulative_and_ends_with_its_count(counts: list[int]) -> None:
    row = {PoolCell.CONNECT_BUCKETS + place: count for place, count in enumerate(counts)}
    found = samples(port(row | {PoolCell.OPENED: 1, PoolCell.CONNECT_MICROSECONDS: 2_500_000}))
    buckets = [value for name, _, value in found if name == "svcproxy_connect_duration_seconds_bucket"]
    if not any(counts):
        assert buckets == []
        return
    assert buckets == [float(sum(counts[: place + 1])) for place in range(len(counts))]
    assert ("svcproxy_connect_duration_seconds_count", WEB, float(sum(counts))) in found
    assert ("svcproxy_connect_duration_seconds_sum", WEB, 2.5) in found


@pytest.mark.parametrize("size", [1, 300, 1 << 20])
def test_pieces_of_any_size_are_the_same_page(size: int) -> None:
    def page() -> TrafficPage:
        made = TrafficPage(REASONS)
        for number in range(20):
            counts: dict[int, int] = {PoolCell.OPENED: number, PoolCell.CONNECT_BUCKETS: number, PoolCell.CLOSED: 1}
            made.add(PortTraffic("shop", f"web-{number}", "http", "TCP", 1, pool_cells(counts)))
        return made

    pieces = list(page().pieces(size))
    assert b"".join(pieces) == b"".join(page().pieces(1000))
    # A family's samples may differ in length by their numbers.
    assert size == 1 or max(map(len, pieces)) <= max(2 * size, 3000)
    assert all(piece.endswith(b"\n") for piece in pieces)


def test_samples_of_one_family_stand_together() -> None:
    page = TrafficPage(REASONS)
    for name in ("a", "b"):
        page.add(PortTraffic("shop", name, "", "TCP", 1, pool_cells({PoolCell.OPENED: 1})))
    heads = [line.split()[2] for line in b"".join(page.pieces(1000)).decode().splitlines() if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))
    assert set(heads) <= set(family_names())
