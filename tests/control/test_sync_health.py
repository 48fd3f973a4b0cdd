"""Health by a clock of the test's own."""

from datetime import UTC, datetime, timedelta

from proxy.control.sync_health import TIMEOUT, SyncHealth

START = datetime(2026, 3, 1, tzinfo=UTC)
LATER = START + timedelta(hours=5)


def test_one_that_has_nothing_to_do_is_healthy_for_ever() -> None:
    assert SyncHealth(START).is_healthy(1e9)


def test_what_waits_too_long_is_unhealthy_until_it_is_done() -> None:
    health = SyncHealth(START)
    health.queued(10.0)
    assert health.is_healthy(10.0 + TIMEOUT)
    assert not health.is_healthy(10.5 + TIMEOUT)
    health.updated(LATER)
    assert health.is_healthy(10.5 + TIMEOUT)
    assert health.last_updated == LATER


def test_the_oldest_of_what_waits_counts() -> None:
    health = SyncHealth(START)
    health.queued(0.0)
    health.queued(TIMEOUT)
    assert not health.is_healthy(TIMEOUT + 1)


def test_the_report_has_both_families_and_the_node() -> None:
    health = SyncHealth(START)
    health.queued(0.0)
    report = health.report(TIMEOUT + 1, LATER, node_eligible=False)
    assert (report.last_updated, report.current_time) == (START, LATER)
    assert (report.healthy, report.node_eligible) == (False, False)
    assert {family: (each.last_updated, each.healthy) for family, each in report.status.items()} == {
        "IPv4": (START, False),
        "IPv6": (START, False),
    }
