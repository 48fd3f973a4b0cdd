"""The planner step by step: what each change touches, claims, and problems."""

from typing import Any

import msgspec
import pytest

from proxy.model.changes import Changes, PodWeight
from proxy.model.metadata import ObjectMeta
from proxy.model.service import Service
from proxy.plan import planner as planner_module
from proxy.plan.frontend import Delta, FrontendKey
from proxy.plan.planner import Planner
from proxy.plan.service_plan import ServicePlan, plan_service
from tests.plan.planned_objects import SETTINGS, node, service, slice_for


class Tally:
    """Which Services plan_service was called for."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, subject: Service, *rest: Any) -> ServicePlan:
        self.names.append(subject.metadata.name)
        return plan_service(subject, *rest)


@pytest.fixture
def tally(monkeypatch: pytest.MonkeyPatch) -> Tally:
    counting = Tally()
    monkeypatch.setattr(planner_module, "plan_service", counting)
    return counting


def three_services() -> Planner:
    planner = Planner(SETTINGS)
    planner.apply(
        Changes(
            services=tuple(service(name, f"10.96.0.{i}") for i, name in enumerate("abc", 1)),
            slices=(slice_for("a", 1), slice_for("b", 2, pods=["x"]), slice_for("c", 3, pods=["y"])),
        )
    )
    return planner


def test_slices_may_arrive_before_their_service() -> None:
    planner = Planner(SETTINGS)
    assert not planner.apply(Changes(slices=(slice_for("a", 1),)))
    delta = planner.apply(Changes(services=(service("a"),)))
    assert [target.address for pool in delta.pools for target in pool.targets] == ["10.0.0.1"]
    assert list(planner.services) == [("default", "a")]


def test_an_equal_resync_plans_nothing_and_changes_nothing(tally: Tally) -> None:
    planner = three_services()
    tally.names.clear()
    delta = planner.apply(
        Changes(
            services=tuple(service(name, f"10.96.0.{i}") for i, name in enumerate("abc", 1)),
            slices=(slice_for("a", 1), slice_for("b", 2, pods=["x"]), slice_for("c", 3, pods=["y"])),
            pod_weights=(PodWeight("default", "x", None),),
            node=node(""),
        )
    )
    assert delta == Delta()
    assert tally.names == []


def test_a_new_version_that_changes_nothing_for_the_plan_is_an_empty_delta(tally: Tally) -> None:
    planner = three_services()
    tally.names.clear()
    changed = msgspec.structs.replace(service("a"), metadata=ObjectMeta("a", "default", resource_version="2"))
    assert planner.apply(Changes(services=(changed,))) == Delta()
    assert tally.names == ["a"]


@pytest.mark.parametrize(
    ("changes", "planned"),
    [
        (Changes(services=(service("b", "10.96.0.2", sessionAffinity="ClientIP"),)), ["b"]),
        (Changes(slices=(slice_for("c", 4),)), ["c"]),
        (Changes(slices=(slice_for("c", 4, name="a-1"),)), ["a", "c"]),
        (Changes(removed_slices=(("default", "a-1"),)), ["a"]),
        (Changes(pod_weights=(PodWeight("default", "x", 3),)), ["b"]),
        (Changes(pod_weights=(PodWeight("default", "stranger", 3),)), []),
        (Changes(pod_weights=(PodWeight("other", "x", 3),)), []),
        (Changes(slices=(slice_for("nobody", 4),)), []),
        (Changes(removed_services=(("default", "a"),)), []),
        (Changes(removed_services=(("default", "nobody"),)), []),
        (Changes(node=node("east")), ["a", "b", "c"]),
    ],
    ids=lambda value: "+".join(value) or "none" if isinstance(value, list) else "",
)
def test_plans_only_the_services_that_a_change_touches(tally: Tally, changes: Changes, planned: list[str]) -> None:
    planner = three_services()
    tally.names.clear()
    planner.apply(changes)
    assert tally.names == planned


def test_a_weight_reaches_the_pool_and_leaves_it_again() -> None:
    planner = three_services()
    key = "default/b/TCP/IPv4"
    before = planner.pools[key]
    (pool,) = planner.apply(Changes(pod_weights=(PodWeight("default", "x", 3),))).pools
    assert pool == planner.pools[key]
    assert {target.pod: target.weight for target in pool.targets} == {"": 1, "x": 3}
    planner.apply(Changes(pod_weights=(PodWeight("default", "x", None),)))
    assert planner.pools[key] == before


def test_a_weight_may_be_known_before_the_pod_is_used() -> None:
    planner = Planner(SETTINGS)
    planner.apply(Changes(pod_weights=(PodWeight("default", "x", 3),), services=(service("a"),)))
    (pool,) = planner.apply(Changes(slices=(slice_for("a", pods=["x"]),))).pools
    assert [target.weight for target in pool.targets] == [3]


def test_a_removed_service_takes_its_pool_and_frontend_along() -> None:
    planner = three_services()
    delta = planner.apply(Changes(removed_services=(("default", "a"),)))
    assert delta == Delta(
        removed_frontends=(FrontendKey("TCP", "10.96.0.1", 80),), removed_pools=("default/a/TCP/IPv4",)
    )
    assert ("default", "a") not in planner.services
    assert planner.plan_of(("default", "a")) == ServicePlan()


def test_of_two_claims_the_first_holds_and_the_second_is_told() -> None:
    planner = Planner(SETTINGS)
    planner.apply(Changes(services=(service("b"),)))
    delta = planner.apply(Changes(services=(service("a"),)))
    assert delta.frontends == ()
    assert planner.frontends[FrontendKey("TCP", "10.96.0.1", 80)].service == "default/b"
    assert [str(each) for each in planner.problems()] == [
        "Service default/a: port 10.96.0.1:80/TCP is already served for default/b"
    ]


def test_a_released_frontend_goes_over_in_one_delta_without_being_removed() -> None:
    planner = Planner(SETTINGS)
    planner.apply(Changes(services=(service("b"),)))
    planner.apply(Changes(services=(service("a"),)))
    delta = planner.apply(Changes(removed_services=(("default", "b"),)))
    assert [each.service for each in delta.frontends] == ["default/a"]
    assert delta.removed_frontends == ()
    assert delta.removed_pools == ("default/b/TCP/IPv4",)
    assert planner.problems() == ()


def test_two_services_may_swap_ports_in_one_batch() -> None:
    planner = Planner(SETTINGS)
    planner.apply(Changes(services=(service("a", port=80), service("b", port=81))))
    planner.apply(Changes(services=(service("a", port=81), service("b", port=80))))
    owners = {key.port: each.service for key, each in planner.frontends.items()}
    assert owners == {80: "default/b", 81: "default/a"}
    assert planner.problems() == ()


def test_of_two_first_claims_in_one_batch_the_older_service_wins() -> None:
    old, new = service("b", born="2026-01-01T00:00:00Z"), service("a", born="2026-02-01T00:00:00Z")
    for batch in ((old, new), (new, old)):
        planner = Planner(SETTINGS)
        planner.apply(Changes(services=batch))
        assert [each.service for each in planner.frontends.values()] == ["default/b"]


def test_a_service_whose_own_addresses_meet_can_come_and_go() -> None:
    planner = Planner(SETTINGS)
    ports = [
        {"name": "a", "port": 80, "protocol": "TCP", "nodePort": 30081},
        {"name": "b", "port": 30081, "protocol": "TCP"},
    ]
    subject = service("a", type="NodePort", ports=ports, externalIPs=["127.0.0.1"])
    planner.apply(Changes(services=(subject,)))
    assert planner.frontends[FrontendKey("TCP", "127.0.0.1", 30081)].pool == "default/a:a/TCP/IPv4"
    assert planner.problems() == ()
    planner.apply(Changes(removed_services=(("default", "a"),)))
    assert not planner.frontends
    assert not planner.pools


def test_problems_name_the_service_and_the_field() -> None:
    planner = Planner(SETTINGS)
    ports = [{"port": 9, "protocol": "SCTP"}]
    planner.apply(Changes(services=(service("a", ports=ports),)))
    assert [str(each) for each in planner.problems()] == [
        "Service default/a: spec.ports[0].protocol: SCTP is not supported by svcproxy; this port is not served"
    ]


def sctp(name: str) -> Service:
    """A Service with a port that is not served, which is a problem."""
    return service(name, "10.96.0.9", ports=[{"port": 9, "protocol": "SCTP"}])


def test_the_problems_stay_one_tuple_until_one_of_them_changes() -> None:
    planner = Planner(SETTINGS)
    assert planner.problems() == ()
    planner.apply(Changes(services=(service("a"), service("b"), sctp("c"))))
    found = planner.problems()
    assert [problem.subject for problem in found] == ["Service default/b", "Service default/c"]
    planner.apply(Changes(slices=(slice_for("c", 1),), services=(service("d", "10.96.0.4"),)))
    assert [problem.subject for problem in planner.problems()] == ["Service default/b", "Service default/c"]
    planner.apply(Changes(removed_services=(("default", "a"),)))
    assert [problem.subject for problem in planner.problems()] == ["Service default/c"]
    kept = planner.problems()
    planner.apply(Changes(slices=(slice_for("d", 2),)))
    assert planner.problems() is kept
    planner.apply(Changes(removed_services=(("default", "c"),)))
    assert planner.problems() == ()
