"""The report of a moment, put together from the plan, the sockets and the live counts."""

from random import Random
from types import SimpleNamespace
from typing import Any

from proxy.control.bind_failure import BindFailure
from proxy.control.inspection import inspect
from proxy.dataplane.balancer import Balancer
from proxy.model.changes import Changes
from proxy.model.problem import Problem
from proxy.plan.planner import Planner
from proxy.plan.settings import PlanSettings


def planned(*services: Any, slices: tuple[Any, ...] = ()) -> tuple[Planner, dict[str, Balancer]]:
    """A planner that knows the Services, and a balancer for each of its pools."""
    planner = Planner(PlanSettings(node_port_addresses=("127.0.0.1",)))
    delta = planner.apply(Changes(services=services, slices=slices))
    return planner, {pool.key: Balancer(pool, None, Random(1)) for pool in delta.pools}


def sockets(listening: bool = True, failures: Any = None) -> Any:
    """What the report asks of a reconciler."""
    return SimpleNamespace(failures=failures or {}, is_listening=lambda key: listening)


def test_a_service_has_its_frontends_and_live_counts(make_service: Any, make_slice: Any) -> None:
    planner, balancers = planned(make_service(), slices=(make_slice(8080),))
    (balancer,) = balancers.values()
    upstream = balancer.choose("127.0.0.9", "127.96.7.1", 0.0)
    assert upstream is not None
    upstream.inactive = 2
    (service,) = inspect(planner, sockets(), balancers, ()).services
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
    assert (endpoint.active, endpoint.inactive, endpoint.failing) == (1, 2, False)
    balancer.refused(upstream, "127.0.0.9", 0.0)
    (service,) = inspect(planner, sockets(), balancers, ()).services
    assert service.pools[0].endpoints[0].failing


def test_a_frontend_that_does_not_listen_says_why(make_service: Any) -> None:
    planner, balancers = planned(make_service())
    (key,) = planner.frontends
    failure = BindFailure(planner.frontends[key], "port 80 is taken")
    (service,) = inspect(planner, sockets(False, {key: failure}), balancers, ()).services
    assert not service.frontends[0].listening
    assert "port 80 is taken" in service.frontends[0].fault


def test_services_come_by_name_and_problems_as_given(make_service: Any) -> None:
    planner, balancers = planned(make_service("b", "127.96.7.2"), make_service("a", "127.96.7.1"))
    problem = Problem("is wrong")
    report = inspect(planner, sockets(), balancers, [problem])
    assert [service.service.metadata.name for service in report.services] == ["a", "b"]
    assert report.problems == (problem,)


def test_a_service_without_a_listener_says_why(make_service: Any) -> None:
    planner, balancers = planned(make_service("headless", "None", clusterIP="None"))
    (service,) = inspect(planner, sockets(), balancers, ()).services
    assert service.frontends == ()
    assert service.notes


def test_an_address_that_another_service_has_is_not_claimed_twice(make_service: Any) -> None:
    planner, balancers = planned(make_service("a"), make_service("b"))
    report = inspect(planner, sockets(), balancers, ())
    assert sorted(len(service.frontends) for service in report.services) == [0, 1]
