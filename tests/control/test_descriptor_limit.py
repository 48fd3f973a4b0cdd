"""The limit of descriptors, raised in a process of its own, and what becomes of them."""

import os
import subprocess
import sys
from operator import le

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.control.descriptor_limit import descriptor_budget
from proxy.dns.settings import USUAL_BOUNDS as USUAL_DNS_BOUNDS
from proxy.serving.bounded_connections import USUAL_BOUNDS, descriptors_of

RAISE = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
from proxy.control.descriptor_limit import raise_limit
print(raise_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
print(raise_limit())
"""
STANDALONE = pytest.mark.parametrize("standalone", [False, True])
NAMES = pytest.mark.parametrize("names", [False, True])
LIMITS = pytest.mark.parametrize("limit", [64, 100, 256, 1023, 1024, 4096, 1 << 20])
FEWEST_FILES = 4


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
    assert before < 1000 - budget.reserve


@STANDALONE
@NAMES
@LIMITS
def test_all_that_the_control_process_may_open_fits_into_the_reserve(limit: int, standalone: bool, names: bool) -> None:
    budget = descriptor_budget(limit, standalone=standalone, names=names)
    # healthCheckNodePorts have as many as health.
    users = 2 * descriptors_of(budget.bounds.health) + descriptors_of(budget.bounds.admin)
    users += descriptors_of(budget.bounds.api) if standalone else 0
    users += budget.names.descriptors if names else 0
    assert users + FEWEST_FILES <= budget.reserve < limit


@LIMITS
def test_every_user_can_answer_somebody(limit: int) -> None:
    budget = descriptor_budget(limit, standalone=True, names=True)
    assert min(*budget.bounds, *budget.names) >= 2


def test_the_bounds_are_the_usual_ones_where_there_are_plenty() -> None:
    budget = descriptor_budget(1 << 20, standalone=True, names=True)
    assert (budget.bounds, budget.names) == (USUAL_BOUNDS, USUAL_DNS_BOUNDS)


@given(st.integers(64, 10_000), st.booleans(), st.booleans())
def test_more_descriptors_are_never_less_for_anybody(limit: int, standalone: bool, names: bool) -> None:
    fewer, more = (descriptor_budget(each, standalone=standalone, names=names) for each in (limit, limit + 1))
    assert all(map(le, (*fewer.bounds, *fewer.names), (*more.bounds, *more.names)))
    assert fewer.reserve <= more.reserve


@pytest.mark.parametrize(("limit", "most"), [(10, 4), (64, 4), (640, 40), (1024, 64), (4096, 256), (1 << 20, 256)])
def test_the_api_has_a_share_where_there_is_one(limit: int, most: int) -> None:
    assert descriptor_budget(limit).bounds.api == 0
    assert descriptor_budget(limit, standalone=True).bounds.api == most <= USUAL_BOUNDS.api


@STANDALONE
@LIMITS
def test_listening_sockets_leave_the_reserve(limit: int, standalone: bool) -> None:
    budget = descriptor_budget(limit, standalone=standalone)
    assert 0 < budget.listening <= limit - budget.reserve
    assert budget.listening <= limit * 0.9


@pytest.mark.parametrize("limit", [0, 10])
def test_there_is_always_enough_for_one_connection(limit: int) -> None:
    assert descriptor_budget(limit).data_plane() == 2


@STANDALONE
@LIMITS
def test_health_checks_leave_the_control_process_half_its_reserve_at_least(limit: int, standalone: bool) -> None:
    budget = descriptor_budget(limit, standalone=standalone)
    reserve = budget.reserve
    assert budget.health_checks(shared=False) == budget.listening <= limit - reserve
    assert limit - reserve < budget.health_checks(shared=True) <= limit - reserve // 2
