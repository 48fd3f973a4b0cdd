"""The limit of descriptors, raised in a process of its own, and the data plane's part of it."""

import os
import subprocess
import sys

import pytest

from proxy.admin.bounded_connections import BoundedConnections
from proxy.control.descriptor_limit import (
    RESERVE,
    SMALL,
    SMALL_RESERVE,
    data_plane_share,
    http_bounds,
    most_health_checks,
    most_listening,
)

RAISE = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
from proxy.control.descriptor_limit import raise_limit
print(raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
print(raise_limit())
"""


def test_the_soft_limit_rises_to_the_hard_one() -> None:
    result = subprocess.run([sys.executable, "-c", RAISE], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["200", "200", "200", "200"]


def test_what_is_open_and_the_reserve_are_not_the_data_planes() -> None:
    before = data_plane_share(1000)
    descriptor = os.open("/dev/null", os.O_RDONLY)
    try:
        assert data_plane_share(1000) == before - 1
    finally:
        os.close(descriptor)
    assert before < 1000 - SMALL_RESERVE


def test_the_reserve_is_smaller_where_there_are_few() -> None:
    assert data_plane_share(SMALL) - data_plane_share(SMALL - 1) == 1 - (RESERVE - SMALL_RESERVE)


@pytest.mark.parametrize("limit", [64, SMALL - 1, SMALL, 1 << 20])
def test_who_asks_about_the_proxy_fits_into_the_reserve(limit: int) -> None:
    bounds = http_bounds(limit)
    admin, health = (BoundedConnections(most).descriptors for most in (bounds.admin, bounds.health))
    # healthCheckNodePorts have as many as health.
    assert admin + 2 * health < (RESERVE if limit >= SMALL else SMALL_RESERVE)


@pytest.mark.parametrize("limit", [64, SMALL - 1, SMALL, 1 << 20])
def test_listening_sockets_leave_the_reserve(limit: int) -> None:
    assert 0 < most_listening(limit) <= limit - (RESERVE if limit >= SMALL else SMALL_RESERVE)
    assert most_listening(limit) <= limit * 0.9


@pytest.mark.parametrize("limit", [0, 10])
def test_there_is_always_enough_for_one_connection(limit: int) -> None:
    assert data_plane_share(limit) == 2


@pytest.mark.parametrize("limit", [64, 1023, 1024, 1 << 20])
def test_health_checks_leave_the_control_process_half_its_reserve_at_least(limit: int) -> None:
    reserve = RESERVE if limit >= SMALL else SMALL_RESERVE
    assert most_health_checks(limit, shared=False) == most_listening(limit) <= limit - reserve
    assert limit - reserve < most_health_checks(limit, shared=True) <= limit - reserve // 2
