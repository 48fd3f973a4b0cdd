"""Health by a clock of the test's own."""

from datetime import UTC, datetime, timedelta

import pytest

from proxy.control.proxy_health import TIMEOUT, ProxyHealth

START = datetime(2026, 3, 1, tzinfo=UTC)
LATER = START + timedelta(hours=5)


@pytest.fixture
def health() -> ProxyHealth:
    return ProxyHealth(START)


def test_one_that_has_nothing_to_do_is_healthy_for_ever(health: ProxyHealth) -> None:
    assert health.is_healthy(1e9)


def test_what_waits_too_long_is_unhealthy_until_it_is_done(health: ProxyHealth) -> None:
    health.queued(10.0)
    assert health.is_healthy(10.0 + TIMEOUT)
    assert not health.is_healthy(10.5 + TIMEOUT)
    assert not health.wants_traffic(10.5 + TIMEOUT)
    health.updated(LATER)
    assert health.is_healthy(10.5 + TIMEOUT)
    assert health.last_updated == LATER


def test_the_oldest_of_what_waits_counts(health: ProxyHealth) -> None:
    health.queued(0.0)
    health.queued(TIMEOUT)
    assert not health.is_healthy(TIMEOUT + 1)


def test_the_report_has_both_families_and_the_node(health: ProxyHealth) -> None:
    health.queued(0.0)
    health.node_eligible = False
    report = health.report(TIMEOUT + 1, LATER)
    assert (report.last_updated, report.current_time) == (START, LATER)
    assert (report.healthy, report.node_eligible) == (False, False)
    assert {family: (each.last_updated, each.healthy) for family, each in report.status.items()} == {
        "IPv4": (START, False),
        "IPv6": (START, False),
    }


def test_it_is_ready_from_the_first_state_to_the_drain(health: ProxyHealth) -> None:
    seen = [health.ready]
    for step in (health.serve, health.drain, health.serve):
        step()
        seen.append(health.ready)
    assert seen == [False, True, False, False]


def test_one_that_drains_is_healthy_and_wants_no_traffic(health: ProxyHealth) -> None:
    assert health.wants_traffic(0.0)
    assert health.report(0.0, LATER).node_eligible
    health.drain()
    assert health.is_healthy(0.0)
    assert not health.wants_traffic(0.0)
    assert not health.report(0.0, LATER).node_eligible
