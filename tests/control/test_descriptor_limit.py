"""The limit of descriptors, raised in a process of its own, and what becomes of them."""

import os
import subprocess
import sys

import pytest

from proxy.control.descriptor_limit import RESERVE, SMALL, SMALL_RESERVE, DescriptorBudget, descriptor_budget
from proxy.serving.bounded_connections import USUAL_BOUNDS, descriptors_of

RAISE = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
from proxy.control.descriptor_limit import raise_limit
print(raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
print(raise_limit())
"""
EITHER = pytest.mark.parametrize("standalone", [False, True])
LIMITS = pytest.mark.parametrize("limit", [64, SMALL - 1, SMALL, 1 << 20])


def reserve_of(budget: DescriptorBudget) -> int:
    """What is not for connections of the API."""
    return budget.reserve - (descriptors_of(budget.bounds.api) if budget.bounds.api else 0)


def test_the_soft_limit_rises_to_the_hard_one() -> None:
    result = subprocess.run([sys.executable, "-c", RAISE], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["200", "200", "200", "200"]


def test_what_is_open_and_the_reserve_are_not_the_data_planes() -> None:
    budget = descriptor_budget(1000)
    before = budget.data_plane()
    descriptor = os.open("/dev/null", os.O_RDONLY)
    try:
        assert budget.data_plane() == before - 1
    finally:
        os.close(descriptor)
    assert before < 1000 - SMALL_RESERVE


@EITHER
def test_the_reserve_is_smaller_where_there_are_few(standalone: bool) -> None:
    few, many = (descriptor_budget(limit, standalone=standalone) for limit in (SMALL - 1, SMALL))
    assert (reserve_of(few), reserve_of(many)) == (SMALL_RESERVE, RESERVE)


@EITHER
@LIMITS
def test_who_asks_about_the_proxy_fits_into_the_reserve(limit: int, standalone: bool) -> None:
    budget = descriptor_budget(limit, standalone=standalone)
    admin, health = map(descriptors_of, (budget.bounds.admin, budget.bounds.health))
    # healthCheckNodePorts have as many as health.
    assert admin + 2 * health < reserve_of(budget)


@pytest.mark.parametrize(("limit", "most"), [(10, 4), (64, 4), (640, 40), (1024, 64), (4096, 256), (1 << 20, 256)])
def test_the_api_has_a_share_where_there_is_one(limit: int, most: int) -> None:
    assert descriptor_budget(limit).bounds.api == 0
    assert descriptor_budget(limit, standalone=True).bounds.api == most <= USUAL_BOUNDS.api


@EITHER
@LIMITS
def test_listening_sockets_leave_the_reserve(limit: int, standalone: bool) -> None:
    budget = descriptor_budget(limit, standalone=standalone)
    assert 0 < budget.listening <= limit - budget.reserve
    assert budget.listening <= limit * 0.9


@pytest.mark.parametrize("limit", [0, 10])
def test_there_is_always_enough_for_one_connection(limit: int) -> None:
    assert descriptor_budget(limit).data_plane() == 2


@EITHER
@LIMITS
def test_health_checks_leave_the_control_process_half_its_reserve_at_least(limit: int, standalone: bool) -> None:
    budget = descriptor_budget(limit, standalone=standalone)
    reserve = budget.reserve
    assert budget.health_checks(shared=False) == budget.listening <= limit - reserve
    assert limit - reserve < budget.health_checks(shared=True) <= limit - reserve // 2
