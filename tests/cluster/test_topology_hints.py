"""Hints by the zones' processors, with the numbers that the EndpointSlice controller comes to."""

from collections import Counter
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cluster.topology_hints import cpu_ratios, wants_hints, with_zone_hints
from proxy.model.endpoint_slice import Endpoint, EndpointConditions
from proxy.model.metadata import ObjectMeta
from proxy.model.node import Node, NodeCondition, NodeStatus
from proxy.model.service import Service, ServiceSpec

ZONES = ("a", "b", "c")


def node(zone: str, cpu: str | int = "4", ready: str = "True", role: str = "") -> Node:
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    labels |= {f"node-role.kubernetes.io/{role}": ""} if role else {}
    status = NodeStatus(allocatable={"cpu": cpu}, conditions=(NodeCondition("Ready", ready),))
    return Node(ObjectMeta(name=f"{zone}-{cpu}", labels=labels), status)


def endpoint(zone: str, ready: bool = True) -> Endpoint:
    return Endpoint(("10.0.0.1",), EndpointConditions(ready=ready), zone=zone or None)


def hinted(zones: str, **cpus: str) -> str:
    """The zones that endpoints in these zones are hinted for; nothing where none has a hint."""
    ratios = cpu_ratios([node(zone, cpu) for zone, cpu in cpus.items()])
    made = with_zone_hints([endpoint(zone) for zone in zones], ratios)
    return "".join(each.hints.for_zones[0].name for each in made if each.hints)


@pytest.mark.parametrize(
    ("zones", "cpus", "expected"),
    [
        ("aabbcc", {"a": "4", "b": "4", "c": "4"}, "aabbcc"),
        ("aaaaaa", {"a": "4", "b": "4", "c": "4"}, "bcbcaa"),
        ("aaaabbcc", {"a": "4", "b": "4", "c": "4"}, ""),
        ("aaaaaabbb", {"a": "4", "b": "4", "c": "4"}, "cccaaabbb"),
        ("ab", {"a": "4", "b": "4", "c": "4"}, ""),
        ("abc", {"a": "4", "b": "4", "c": "4"}, "abc"),
        ("abcc", {"a": "4", "b": "4", "c": "4"}, ""),
        ("abbcc", {"a": "4", "b": "4", "c": "4"}, ""),
        ("aabbbcc", {"a": "4", "b": "4", "c": "4"}, "aabbbcc"),
        ("aabb", {"a": "1", "b": "1"}, "aabb"),
        ("aaaabbbb", {"a": "6", "b": "2"}, "aaaaaabb"),
        ("abcd", {"a": "4", "b": "4", "c": "4", "d": "4"}, "abcd"),
        ("aaaabbbbccccdddd", {"a": "8", "b": "4", "c": "2", "d": "2"}, "aaaaaaaabbbbccdd"),
    ],
)
def test_each_zone_has_endpoints_in_proportion_to_its_processors(
    zones: str, cpus: dict[str, str], expected: str
) -> None:
    assert sorted(hinted(zones, **cpus)) == sorted(expected)


def test_those_that_move_are_the_first_of_the_zone_that_has_too_many() -> None:
    assert hinted("aaaaaabbb", a="4", b="4", c="4") == "cccaaabbb"


def test_one_endpoint_without_a_zone_leaves_all_without_a_hint() -> None:
    ratios = cpu_ratios([node(zone) for zone in ZONES])
    made = with_zone_hints([endpoint(zone) for zone in ("a", "b", "c", "")], ratios)
    assert [each.hints for each in made] == [None] * 4


def test_only_ready_endpoints_count_and_have_hints() -> None:
    ratios = cpu_ratios([node(zone) for zone in ZONES])
    made = with_zone_hints([endpoint("a"), endpoint("b", ready=False), endpoint("b"), endpoint("c")], ratios)
    assert [each.hints.for_zones[0].name if each.hints else "" for each in made] == ["a", "", "b", "c"]


@given(st.lists(st.sampled_from(ZONES), min_size=1, max_size=40), st.lists(st.integers(1, 9), min_size=3, max_size=3))
def test_no_endpoint_carries_more_than_a_fifth_too_much(zones: list[str], cpus: list[int]) -> None:
    weights = dict(zip(ZONES, cpus, strict=True))
    made = with_zone_hints([endpoint(zone) for zone in zones], cpu_ratios(node(*each) for each in weights.items()))
    counts = Counter(each.hints.for_zones[0].name for each in made if each.hints)
    assert counts.total() in (0, len(zones))
    least = {zone: ceil(len(zones) * (cpu / sum(cpus)) / 1.2) for zone, cpu in weights.items()}
    if counts:
        # A part of an endpoint cannot be given: half of one is the most that a zone lacks.
        assert all(counts[zone] >= max(0.0, least[zone] - 1) for zone in ZONES)
    else:
        assert len(zones) < 3 or sum(least.values()) > len(zones)


def test_processors_are_added_up_by_zone() -> None:
    nodes = [node("a", "500m"), node("a", "1"), node("b", "0.5"), node("c", 2), node("d", "9", ready="False")]
    assert cpu_ratios([*nodes, node("e", "9", role="control-plane"), node("f", "9", role="master")]) == {
        "a": 1500 / 4000,
        "b": 500 / 4000,
        "c": 2000 / 4000,
    }


@pytest.mark.parametrize(
    "nodes",
    [
        [],
        [node("a"), node("a", "2")],
        [node("a"), node("b"), node("")],
        [node("a"), node("b", "0")],
        [node("a"), node("b", "many")],
        [node("a"), node("b", "")],
    ],
)
def test_without_two_zones_and_the_processors_of_all_nodes_there_are_no_hints(nodes: list[Node]) -> None:
    assert cpu_ratios(nodes) == {}


@pytest.mark.parametrize(
    ("annotations", "expected"),
    [
        ({"service.kubernetes.io/topology-mode": "Auto"}, True),
        ({"service.kubernetes.io/topology-mode": "auto"}, True),
        ({"service.kubernetes.io/topology-mode": "Disabled"}, False),
        ({"service.kubernetes.io/topology-aware-hints": "Auto"}, True),
        (
            {
                "service.kubernetes.io/topology-aware-hints": "Disabled",
                "service.kubernetes.io/topology-mode": "Auto",
            },
            False,
        ),
        ({}, False),
    ],
)
def test_the_older_annotation_wins(annotations: dict[str, str], expected: bool) -> None:
    assert wants_hints(Service(ObjectMeta(name="s", annotations=annotations), ServiceSpec())) is expected
