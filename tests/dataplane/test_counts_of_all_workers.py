"""Several workers that share counts choose as one would that had all connections.

The reference is one scheduler over plain backends. Workers take turns as the kernel happens to spread clients; each
sees what the others have open through the shared table alone.
"""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.dataplane.balancer import Balancer
from proxy.dataplane.messages import PoolRows
from proxy.dataplane.upstream import Upstream
from proxy.plan.frontend import Pool, Target
from proxy.schedulers.backend import Backend
from proxy.schedulers.registry import SCHEDULERS, create
from proxy.shared_counts.column import Column
from proxy.shared_counts.layout import ENDPOINTS, EndpointCell
from proxy.shared_counts.table import SharedTable

WORKERS = 3
ROWS = PoolRows(1, (1, 2, 3, 4))
EXACT = ("lc", "wlc", "sed", "nq", "ovf")


@pytest.fixture(scope="module")
def table() -> Iterator[SharedTable]:
    created = SharedTable.create(WORKERS)
    yield created
    created.close()


def pool(scheduler: str, weights: tuple[int, ...] = (1, 1, 1, 1)) -> Pool:
    targets = tuple(Target("10.0.0.1", 80 + number, weight) for number, weight in enumerate(weights))
    return Pool("web", "default/web", "", "TCP", scheduler, "web", 0, 5.0, 0.0, targets)


def workers(table: SharedTable, of: Pool) -> list[Balancer]:
    for row in ROWS.endpoints:
        table.wipe(ENDPOINTS, row)
    return [Balancer(of, None, Random(1), ROWS, Column(table, number)) for number in range(WORKERS)]


def test_what_one_worker_chose_the_next_one_counts(table: SharedTable) -> None:
    balancers = workers(table, pool("lc"))
    chosen = [balancers[number % WORKERS].choose("10.9.9.9", "10.96.0.1", 0.0) for number in range(4)]
    assert {upstream.port for upstream in chosen if upstream is not None} == {80, 81, 82, 83}


# Who acts, and on which of the open flows: a new one, one side's end, or the end.
turns = st.lists(st.tuples(st.integers(0, WORKERS - 1), st.sampled_from(("new", "half", "end")), st.integers(0, 99)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(EXACT), st.tuples(*[st.integers(0, 4)] * 4), turns)
def test_choices_are_those_of_one(
    table: SharedTable, scheduler: str, weights: tuple[int, int, int, int], steps: list[tuple[int, str, int]]
) -> None:
    of = pool(scheduler, weights)
    balancers = workers(table, of)
    backends = [Backend(target.address, target.port, target.weight) for target in of.targets]
    reference = create(scheduler, Random(1))
    reference.update(backends)
    flows: list[tuple[Upstream, Backend, bool]] = []
    for worker, action, which in steps:
        if action == "new":
            upstream = balancers[worker].choose("10.9.9.9", "10.96.0.1", 0.0)
            expected = reference.pick(0, 0.0)
            assert (upstream and upstream.port) == (expected and expected.port)
            if upstream is not None and expected is not None:
                expected.active += 1
                flows.append((upstream, expected, False))
        elif flows:
            upstream, backend, half = flows.pop(which % len(flows))
            if action == "half" and not half:
                upstream.half_closed()
                backend.active -= 1
                backend.inactive += 1
                flows.append((upstream, backend, True))
            else:
                upstream.ended(half)
                backend.active -= not half
                backend.inactive -= half
    for row, backend in zip(ROWS.endpoints, backends, strict=True):
        cells = table.totals(ENDPOINTS, row)
        assert (cells[EndpointCell.ACTIVE], cells[EndpointCell.INACTIVE]) == (backend.active, backend.inactive)


@pytest.mark.parametrize("name", [name for name, scheduler in SCHEDULERS.items() if not scheduler.uses_counts])
def test_a_scheduler_that_compares_no_counts_looks_nowhere(table: SharedTable, name: str) -> None:
    first, second, _ = workers(table, pool(name))
    for _ in range(4):
        assert first.choose("10.9.9.9", "10.96.0.1", 0.0) is not None
        assert second.choose("10.9.9.9", "10.96.0.1", 0.0) is not None
    assert all(not upstream.active_elsewhere for upstream in (*first.upstreams, *second.upstreams))


def test_schedulers_that_compare_counts_say_so() -> None:
    using = {name for name, scheduler in SCHEDULERS.items() if scheduler.uses_counts}
    assert using == {"lc", "wlc", "sed", "nq", "lblc", "lblcr", "ovf", "twos"}


def test_an_upstream_that_moves_to_another_row_takes_its_flows_along(table: SharedTable) -> None:
    balancer = workers(table, pool("lc"))[0]
    upstream = balancer.choose("10.9.9.9", "10.96.0.1", 0.0)
    assert upstream is not None
    before = upstream.tally.row
    moved = PoolRows(1, tuple(row + 10 for row in ROWS.endpoints))
    balancer.update(balancer.pool, None, moved)
    assert table.totals(ENDPOINTS, before)[EndpointCell.ACTIVE] == 0
    assert table.totals(ENDPOINTS, before + 10)[EndpointCell.ACTIVE] == 1
    upstream.ended()
    assert table.totals(ENDPOINTS, before + 10)[EndpointCell.ACTIVE] == 0


def test_a_flow_outlives_its_endpoints_departure_in_the_count(table: SharedTable) -> None:
    of = pool("lc", (1,))
    rows = PoolRows(1, (1,))
    for row in ROWS.endpoints:
        table.wipe(ENDPOINTS, row)
    balancer = Balancer(of, None, Random(1), rows, Column(table, 0))
    upstream = balancer.choose("10.9.9.9", "10.96.0.1", 0.0)
    assert upstream is not None
    balancer.update(pool("lc", ()), None, PoolRows(1, ()))
    assert table.totals(ENDPOINTS, 1)[EndpointCell.ACTIVE] == 1
    balancer.update(of, None, rows)
    assert next(iter(balancer.upstreams)) is upstream
    upstream.ended()
    assert table.totals(ENDPOINTS, 1)[EndpointCell.ACTIVE] == 0


def test_an_endpoint_that_failed_and_left_is_not_failing_when_it_comes_back(table: SharedTable) -> None:
    of = pool("rr")
    first, *_ = workers(table, of)
    upstream = first.choose("10.9.9.9", "10.96.0.1", 0.0)
    assert upstream is not None
    first.refused(upstream, "10.9.9.9", 0.0)
    failing = [table.totals(ENDPOINTS, row)[EndpointCell.FAILING] for row in ROWS.endpoints]
    assert sorted(failing) == [0, 0, 0, 1]
    first.update(pool("rr", ()), None, PoolRows(1, ()))
    first.update(of, None, ROWS)
    assert [table.totals(ENDPOINTS, row)[EndpointCell.FAILING] for row in ROWS.endpoints] == [0, 0, 0, 0]


def test_what_is_foreseen_looks_at_all_workers(table: SharedTable) -> None:
    first, second, _ = workers(table, pool("lc"))
    for _ in range(3):
        chosen = second.choose("10.9.9.9", "10.96.0.1", 0.0)
        assert chosen is not None
    (candidate,) = first.foresee("10.9.9.9", "10.96.0.1", 0.0).candidates
    chosen = first.choose("10.9.9.9", "10.96.0.1", 0.0)
    assert candidate.endpoint == str(chosen)
    assert not any(upstream is chosen for upstream in second.upstreams)
    (least,) = (upstream for upstream in second.upstreams if not upstream.active)
    assert str(least) == candidate.endpoint
