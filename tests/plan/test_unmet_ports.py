"""A Service port that no endpoint has is named, beside those that there are."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.changes import Changes
from proxy.model.endpoint_slice import (
    CONTROLLER,
    MANAGED_BY_LABEL,
    SERVICE_NAME_LABEL,
    TARGET_PORTS,
    EndpointPort,
    EndpointSlice,
)
from proxy.plan.planner import Planner
from tests.plan.planned_objects import SETTINGS, service

WEB = ("default", "web")
Ports = list[dict[str, Any]]


def behind(
    *ports: tuple[str, str, int], number: int = 1, family: str = "IPv4", hosts: int = 1, noted: str | None = None
) -> EndpointSlice:
    """A slice of `web`; made from Pods where `noted` names the ports of their containers."""
    labels = {SERVICE_NAME_LABEL: "web", **({MANAGED_BY_LABEL: CONTROLLER} if noted is not None else {})}
    address = "10.0.0.{}" if family == "IPv4" else "fd00::{}"
    document = {
        "metadata": {
            "name": f"web-{number}",
            "namespace": "default",
            "labels": labels,
            "annotations": {TARGET_PORTS: noted} if noted else {},
        },
        "addressType": family,
        "endpoints": [{"addresses": [address.format(host)]} for host in range(1, hosts + 1)],
    }
    made = msgspec.convert(document, EndpointSlice)
    return msgspec.structs.replace(made, ports=tuple(EndpointPort(*each) for each in ports))


def said(ports: Ports, *slices: EndpointSlice, **spec: Any) -> list[str]:
    """The problems of a Service with these ports and slices."""
    planner = Planner(SETTINGS)
    planner.apply(Changes(services=(service("web", ports=ports, **spec),), slices=slices))
    assert all(problem.reason == "PortNotFound" for problem in planner.problems())
    notes = planner.plan_of(WEB).endpoint_notes
    for problem in planner.problems():
        assert any(note.endswith(problem.message.partition(": ")[2]) for note in notes), notes
    return [problem.message for problem in planner.problems()]


HTTP = {"name": "http", "port": 80, "protocol": "TCP"}
NO_HTTP = "no endpoint has a port named `http`"


@pytest.mark.parametrize(
    ("offered", "there_are"),
    [
        ([("web", "TCP", 1), ("metrics", "TCP", 2)], "`web`, `metrics`"),
        ([("", "TCP", 8080)], "8080 without a name"),
        ([("web", "TCP", 1), ("dns", "UDP", 2)], "`web`, `dns` (UDP)"),
    ],
)
def test_the_ports_that_there_are_are_named(offered: list[tuple[str, str, int]], there_are: str) -> None:
    assert said([HTTP], behind(*offered)) == [f"spec.ports[0].name: {NO_HTTP}; there are: {there_are}"]


def test_a_port_of_the_other_protocol_is_another() -> None:
    (line,) = said([HTTP], behind(("http", "UDP", 1)))
    assert line == f"spec.ports[0].name: {NO_HTTP} for TCP; there are: `http` (UDP)"


def test_an_unnamed_port_meets_no_named_one() -> None:
    (line,) = said([{"port": 80, "protocol": "TCP"}], behind(("web", "TCP", 1)))
    assert line == "spec.ports[0].name: no endpoint has an unnamed port; there are: `web`"


def test_of_pods_the_names_of_the_containers_ports_count() -> None:
    ports = [{"port": 81, "protocol": "TCP"}, {"name": "b", "port": 80, "protocol": "TCP", "targetPort": "htpp"}]
    (line,) = said(ports, behind(("", "TCP", 81), noted="http,metrics"))
    assert line == "spec.ports[1].targetPort: no endpoint has a port named `htpp`; there are: `http`, `metrics`"
    (line,) = said(ports, behind(("", "TCP", 81), noted=""))
    assert line == "spec.ports[1].targetPort: no endpoint has a port named `htpp`; name one in the Pods' containers"


def test_a_port_that_one_endpoint_has_is_met_and_without_endpoints_nothing_is_said() -> None:
    other = behind(("web", "TCP", 1))
    assert said([HTTP], other, behind(("http", "TCP", 1), number=2)) == []
    assert said([HTTP]) == said([HTTP], behind(hosts=0)) == []


def test_a_service_of_two_families_is_told_once() -> None:
    families = {"clusterIPs": ["10.96.0.1", "fd00:1::1"], "ipFamilies": ["IPv4", "IPv6"]}
    slices = (behind(("web", "TCP", 1)), behind(("web", "TCP", 1), number=2, family="IPv6"))
    assert len(said([HTTP], *slices, **families)) == 1


NAMES = st.lists(st.sampled_from(["", "http", "web"]), max_size=3, unique=True)


@given(wanted=NAMES.filter(bool), offered=st.lists(NAMES, max_size=3))
def test_what_is_said_is_what_no_slice_has(wanted: list[str], offered: list[list[str]]) -> None:
    ports = [{"name": name, "port": number, "protocol": "TCP"} for number, name in enumerate(wanted, 80)]
    slices = [behind(*((name, "TCP", 80) for name in names), number=n) for n, names in enumerate(offered)]
    unmet = [name for name in wanted if slices and not any(name in names for names in offered)]
    assert len(said(ports, *slices)) == len(unmet)
