"""Upstream: how a target is dialled, and how long a failure keeps it out."""

import socket

import pytest

from proxy.dataplane.upstream import Upstream
from proxy.plan.frontend import Target


@pytest.mark.parametrize(
    ("address", "family", "text"),
    [("10.0.0.1", socket.AF_INET, "10.0.0.1:80"), ("fd00::1", socket.AF_INET6, "[fd00::1]:80")],
)
def test_a_target_is_dialled_in_its_family(address: str, family: int, text: str) -> None:
    upstream = Upstream(Target(address, 80))
    assert (upstream.family, upstream.sockaddr, str(upstream)) == (family, (address, 80), text)


def test_the_penalty_doubles_up_to_half_a_minute() -> None:
    upstream, penalties = Upstream(Target("10.0.0.1", 80)), []
    for _ in range(2000):
        upstream.failed(100.0)
        penalties.append(upstream.failed_until - 100.0)
    assert penalties[:6] == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0]
    assert set(penalties[6:]) == {30.0}


def test_a_newer_version_changes_weight_and_name_and_no_count() -> None:
    upstream = Upstream(Target("10.0.0.1", 80, 1, "a"))
    upstream.active = 3
    upstream.take(Target("10.0.0.1", 80, 5, "b"))
    assert (upstream.weight, upstream.pod, upstream.active) == (5, "b", 3)
