"""Endpoints that lead back to this proxy are left out, told, and found as frontends come and go."""

import msgspec
import pytest
from msgspec.structs import replace

from proxy.model.changes import Changes
from proxy.model.endpoint_slice import SERVICE_NAME_LABEL, EndpointSlice
from proxy.model.service import Service
from proxy.plan.frontend import FrontendKey
from proxy.plan.local_addresses import LocalAddresses
from proxy.plan.own_places import OwnListener
from proxy.plan.planner import Planner
from tests.plan.planned_objects import SETTINGS, service, slice_for
from tests.plan.test_planner import Tally, tally

__all__ = ["tally"]

WILDCARD = replace(
    SETTINGS,
    node_port_addresses=("0.0.0.0", "::"),
    own_listeners=(OwnListener(FrontendKey("TCP", "127.0.0.1", 10249), "metrics address"),),
)


def behind(owner: str, address: str, port: int, *more: str) -> EndpointSlice:
    made = slice_for(owner, 9)
    endpoints = tuple(replace(made.endpoints[0], addresses=(each,)) for each in (address, *more))
    family = "IPv6" if ":" in address else "IPv4"
    return replace(made, address_type=family, endpoints=endpoints, ports=(replace(made.ports[0], port=port),))


def targets(planner: Planner, name: str) -> list[str]:
    return [target.address for pool in planner.plan_of(("default", name)).pools for target in pool.targets]


@pytest.mark.parametrize(
    ("address", "port"),
    [("10.96.0.1", 80), ("127.0.0.1", 30080), ("127.0.0.1", 10249), ("fd00::1", 80), ("::1", 30080)],
)
def test_an_endpoint_that_is_an_own_place_is_left_out_and_told(address: str, port: int) -> None:
    planner = Planner(WILDCARD)
    itself = service("a", type="NodePort", nodePort=30080, clusterIPs=["10.96.0.1", "fd00::1"])
    planner.apply(Changes(services=(itself,), slices=(behind("a", address, port),)))
    assert targets(planner, "a") == []
    (problem,) = planner.problems()
    assert (problem.subject, problem.reason) == ("Service default/a", "EndpointLeadsBack")
    assert "would come back to this proxy" in problem.message
    assert any(
        "1 endpoint leads back to this proxy" in note for note in planner.plan_of(("default", "a")).endpoint_notes
    )


def test_the_other_endpoints_serve_on() -> None:
    planner = Planner(WILDCARD)
    planner.apply(Changes(services=(service("a"),), slices=(behind("a", "10.0.0.7", 80, "10.96.0.1"),)))
    assert targets(planner, "a") == ["10.0.0.7"]


def test_two_services_that_lead_to_each_other_both_lose_the_endpoint_until_one_goes() -> None:
    planner = Planner(WILDCARD)
    planner.apply(
        Changes(
            services=(service("a", "10.96.0.1"), service("b", "10.96.0.2")),
            slices=(behind("a", "10.96.0.2", 80), behind("b", "10.96.0.1", 80)),
        )
    )
    assert targets(planner, "a") == targets(planner, "b") == []
    assert len(planner.problems()) == 2
    delta = planner.apply(Changes(removed_services=(("default", "b"),)))
    assert targets(planner, "a") == ["10.96.0.2"]
    assert [pool.service for pool in delta.pools] == ["default/a"]
    assert planner.problems() == ()


def test_a_named_owner_that_changes_is_told_anew() -> None:
    planner = Planner(WILDCARD)
    planner.apply(Changes(services=(service("a"),), slices=(behind("a", "10.96.0.2", 80),)))
    planner.apply(Changes(services=(service("b", "10.96.0.2"),)))
    assert "ClusterIP of default/b" in planner.problems()[0].message
    planner.apply(Changes(services=(service("c", "10.96.0.2"),), removed_services=(("default", "b"),)))
    assert "ClusterIP of default/c" in planner.problems()[0].message


@pytest.mark.parametrize("endpoint", ["10.0.0.7", "127.0.0.7"])
def test_one_new_frontend_among_thousands_plans_only_what_leads_there(tally: Tally, endpoint: str) -> None:
    planner = Planner(WILDCARD)
    planner.apply(
        Changes(
            services=tuple(service(f"s{i}", f"10.97.{i >> 8}.{i & 255}") for i in range(2_000)),
            slices=(*(behind(f"s{i}", endpoint, 8080) for i in range(1_999)), behind("s1999", "10.96.0.1", 80)),
        )
    )
    tally.names.clear()
    planner.apply(Changes(services=(service("new", type="NodePort", nodePort=30080),)))
    assert tally.names == ["new", "s1999"]


def test_another_address_of_the_machine_is_looked_at_anew() -> None:
    planner = Planner(WILDCARD)
    itself = service("a", type="NodePort", nodePort=30080)
    planner.apply(Changes(services=(itself,), slices=(behind("a", "192.0.2.7", 30080),)))
    assert targets(planner, "a") == ["192.0.2.7"]
    local = replace(WILDCARD.local_addresses, addresses=frozenset(["192.0.2.7"]))
    planner.reconfigure(replace(WILDCARD, local_addresses=local))
    assert targets(planner, "a") == []


def test_a_slice_of_udp_does_not_lead_to_a_tcp_frontend() -> None:
    planner = Planner(WILDCARD)
    udp = service("u", "10.96.0.9", ports=[{"port": 80, "protocol": "UDP"}])
    made = behind("u", "10.96.0.1", 80)
    planner.apply(
        Changes(services=(service("a"), udp), slices=(replace(made, ports=(replace(made.ports[0], protocol="UDP"),)),))
    )
    assert made.metadata.labels[SERVICE_NAME_LABEL] == "u"
    assert targets(planner, "u") == ["10.96.0.1"]


@pytest.mark.parametrize("field", ["externalIPs", "ingress"])
def test_an_external_address_where_this_proxy_answers_for_itself_is_not_taken(field: str) -> None:
    here = LocalAddresses(frozenset(["192.0.2.1"]), ())
    listener = OwnListener(FrontendKey("TCP", "0.0.0.0", 10256), "health address")
    planner = Planner(replace(SETTINGS, node_port_addresses=(), own_listeners=(listener,), local_addresses=here))
    taken = service("a", port=10256, type="LoadBalancer", externalIPs=["192.0.2.1", "192.0.2.2"])
    if field == "ingress":
        taken = msgspec.convert(
            {**msgspec.to_builtins(taken), "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}, Service
        )
    planner.apply(Changes(services=(taken,)))
    assert "192.0.2.1" not in {key.address for key in planner.frontends}
    assert "192.0.2.2" in {key.address for key in planner.frontends}
    problem = planner.problems()[0]
    assert problem.reason == "PortAlreadyServed"
    assert "192.0.2.1:10256/TCP is this proxy's own health address, and is not taken" in problem.message
    assert any("is not taken" in note for note in planner.plan_of(("default", "a")).notes)
