"""The report of a moment, put together from the plan, the sockets and the live counts."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.capture.bind_failure import BindFailure
from proxy.inspection.pool_counts import PoolCounts
from proxy.inspection.service_inspector import inspect_service
from proxy.model.changes import Changes
from proxy.paths.path_list import PathList
from proxy.plan.planner import Planner
from proxy.plan.settings import PlanSettings
from proxy.reports.report import ServiceReport
from proxy.shared_counts.column import Column
from proxy.shared_counts.layout import ENDPOINTS, EndpointCell
from proxy.shared_counts.table import SharedTable
from proxy.workers.row_ledger import RowLedger


@pytest.fixture
def table() -> Iterator[SharedTable]:
    created = SharedTable.create(2)
    yield created
    created.close()


Planned = Callable[..., tuple[Planner, PoolCounts]]


@pytest.fixture
def planned(table: SharedTable) -> Planned:
    """Makes a planner that knows some Services, and the counts of its pools."""

    def plan(*services: Any, slices: tuple[Any, ...] = ()) -> tuple[Planner, PoolCounts]:
        planner = Planner(PlanSettings(node_port_addresses=("127.0.0.1",)))
        delta = planner.apply(Changes(services=services, slices=slices))
        ledger = RowLedger()
        for pool in delta.pools:
            ledger.hold(pool)
        return planner, PoolCounts(table, ledger)

    return plan


def sockets(listening: bool = True, failures: Any = None) -> Any:
    """What the report asks of a reconciler."""
    return SimpleNamespace(failures=failures or {}, is_listening=lambda key: listening)


def reports(planner: Planner, sockets: Any, counts: PoolCounts) -> list[ServiceReport]:
    return [inspect_service(service, planner, sockets, PathList(), counts) for service in planner.services.values()]


def test_a_service_has_its_frontends_and_live_counts(
    planned: Planned, table: SharedTable, make_service: Any, make_slice: Any
) -> None:
    planner, counts = planned(make_service(), slices=(make_slice(8080),))
    tallies = [Column(table, number).tally(ENDPOINTS, 1) for number in (0, 1)]
    tallies[1].gauge(EndpointCell.ACTIVE, 1)
    for tally in tallies:
        tally.gauge(EndpointCell.INACTIVE, 1)
        for cell in (EndpointCell.OPENED, EndpointCell.RECEIVED_BYTES, EndpointCell.SENT_BYTES):
            tally.gauge(cell, int(cell))
    (service,) = reports(planner, sockets(), counts)
    (frontend,) = service.frontends
    assert (frontend.address, frontend.port, frontend.kind, frontend.listening, frontend.fault) == (
        "127.96.7.1",
        80,
        "ClusterIP",
        True,
        "",
    )
    (endpoint,) = service.pools[0].endpoints
    assert (endpoint.address, endpoint.port, endpoint.pod) == ("127.0.0.1", 8080, "web-pod")
    assert (endpoint.opened, endpoint.received, endpoint.sent) == (8, 12, 14)
    assert (endpoint.active, endpoint.inactive, endpoint.failing) == (1, 2, False)
    tallies[0].gauge(EndpointCell.FAILING, 1)
    (service,) = reports(planner, sockets(), counts)
    assert service.pools[0].endpoints[0].failing


def test_a_frontend_that_does_not_listen_says_why(planned: Planned, make_service: Any) -> None:
    planner, counts = planned(make_service())
    (key,) = planner.frontends
    failure = BindFailure(planner.frontends[key], "port 80 is taken")
    (service,) = reports(planner, sockets(False, {key: failure}), counts)
    assert not service.frontends[0].listening
    assert "port 80 is taken" in service.frontends[0].fault


def test_a_service_without_a_listener_says_why(planned: Planned, make_service: Any) -> None:
    planner, counts = planned(make_service("headless", "None", clusterIP="None"))
    (service,) = reports(planner, sockets(), counts)
    assert service.frontends == ()
    assert service.notes


def test_an_address_that_another_service_has_is_not_claimed_twice(planned: Planned, make_service: Any) -> None:
    planner, counts = planned(make_service("a"), make_service("b"))
    services = reports(planner, sockets(), counts)
    assert sorted(len(service.frontends) for service in services) == [0, 1]
