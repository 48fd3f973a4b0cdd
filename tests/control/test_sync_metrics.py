"""What is measured of putting changes into force."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from proxy.control.sync_metrics import SyncMetrics, trigger_time
from proxy.model.changes import Changes
from proxy.model.endpoint_slice import LAST_CHANGE_TRIGGER_TIME, EndpointSlice

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


def endpoint_slice(triggered: str | None = None, family: str = "IPv4") -> EndpointSlice:
    annotations = {} if triggered is None else {LAST_CHANGE_TRIGGER_TIME: triggered}
    document = {"metadata": {"name": "a", "namespace": "b", "annotations": annotations}, "addressType": family}
    return msgspec.convert(document, EndpointSlice)


@pytest.fixture
def metrics() -> SyncMetrics:
    return SyncMetrics(BEGAN)


def value(metrics: SyncMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"kubeproxy_{name}", labels)


def test_a_change_is_measured_from_its_trigger_to_its_being_in_force(metrics: SyncMetrics) -> None:
    changed = endpoint_slice("2026-03-01T00:00:10.123456789Z")
    metrics.synced([changed], 0.003, BEGAN + timedelta(seconds=11), full=False)
    name = "network_programming_duration_seconds"
    assert value(metrics, f"{name}_count", ip_family="IPv4") == 1
    assert value(metrics, f"{name}_count", ip_family="IPv6") == 0
    assert value(metrics, f"{name}_sum", ip_family="IPv4") == pytest.approx(0.876544)


@pytest.mark.parametrize("triggered", [None, "", "yesterday", "2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z"])
def test_a_trigger_that_is_unknown_or_older_than_the_process_is_not_measured(
    metrics: SyncMetrics, triggered: str | None
) -> None:
    metrics.synced([endpoint_slice(triggered)], 0.003, BEGAN + timedelta(seconds=11), full=False)
    assert value(metrics, "network_programming_duration_seconds_count", ip_family="IPv4") == 0


def test_slices_of_names_are_no_family_of_ours(metrics: SyncMetrics) -> None:
    metrics.synced([endpoint_slice("2026-03-01T00:00:10Z", "FQDN")], 0.003, BEGAN + timedelta(seconds=11), full=False)
    names = metrics.registry.collect()
    assert {sample.labels.get("ip_family", "IPv4") for family in names for sample in family.samples} == {"IPv4", "IPv6"}


@pytest.mark.parametrize(("full", "counts"), [(True, (1, 1, 0)), (False, (1, 0, 1))])
def test_a_sync_is_full_or_partial(metrics: SyncMetrics, full: bool, counts: tuple[int, int, int]) -> None:
    metrics.synced([], 0.003, BEGAN, full=full)
    found = [
        value(metrics, f"sync_{kind}proxy_rules_duration_seconds_count", ip_family="IPv6")
        for kind in ("", "full_", "partial_")
    ]
    assert tuple(found) == counts
    assert value(metrics, "sync_proxy_rules_last_timestamp_seconds", ip_family="IPv4") == BEGAN.timestamp()


def test_what_came_is_pending_until_it_is_in_force(metrics: SyncMetrics) -> None:
    metrics.queued(Changes(slices=(endpoint_slice(),), removed_services=(("a", "b"), ("a", "c"))), BEGAN)
    assert value(metrics, "sync_proxy_rules_endpoint_changes_pending") == 1
    assert value(metrics, "sync_proxy_rules_service_changes_pending") == 2
    metrics.synced([], 0.1, BEGAN, full=False)
    assert value(metrics, "sync_proxy_rules_endpoint_changes_pending") == 0
    assert value(metrics, "sync_proxy_rules_service_changes_pending") == 0
    assert value(metrics, "sync_proxy_rules_endpoint_changes_total") == 1
    assert value(metrics, "sync_proxy_rules_service_changes_total") == 2


def test_a_time_without_a_zone_is_utc() -> None:
    assert trigger_time(endpoint_slice("2026-03-01T00:00:10")) == BEGAN + timedelta(seconds=10)
