"""Selection, row by row, and against a reference written from the rules rather than from the code."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.model.endpoint_slice import (
    HEADLESS_LABEL,
    Endpoint,
    EndpointConditions,
    EndpointHints,
    EndpointPort,
    EndpointSlice,
    NodeHint,
    ZoneHint,
)
from proxy.model.metadata import ObjectMeta
from proxy.plan.selection import (
    Locality,
    PortEndpoint,
    PortIdentity,
    Selection,
    candidates_of,
    select_endpoints,
)

HTTP = PortIdentity("http", "TCP", "IPv4")
HERE = Locality("here", "west")
READY = EndpointConditions(ready=True, serving=True, terminating=False)
DRAINING = EndpointConditions(ready=False, serving=True, terminating=True)
UNREADY = EndpointConditions(ready=False, serving=True, terminating=False)
GONE = EndpointConditions(ready=False, serving=False, terminating=True)


def endpoint(
    address: str,
    conditions: EndpointConditions = READY,
    node: str | None = None,
    zones: Sequence[str] = (),
    nodes: Sequence[str] = (),
) -> Endpoint:
    hints = EndpointHints(tuple(map(ZoneHint, zones)), tuple(map(NodeHint, nodes)))
    return Endpoint(addresses=(address,), conditions=conditions, node_name=node, hints=hints)


def slice_of(
    *endpoints: Endpoint,
    name: str = "myapp-1",
    ports: Sequence[EndpointPort] = (EndpointPort("http", "TCP", 8080),),
    address_type: str = "IPv4",
) -> EndpointSlice:
    return EndpointSlice(ObjectMeta(name, "default"), address_type, endpoints, tuple(ports))


def select(*slices: EndpointSlice, port: PortIdentity = HTTP, locality: Locality = HERE) -> Selection:
    return select_endpoints(candidates_of(slices, port.family), port, locality)


def texts(chosen: Sequence[PortEndpoint]) -> list[str]:
    return [f"{each.address}:{each.port}" for each in chosen]


def test_merges_every_slice_of_the_port_and_sorts_by_the_string() -> None:
    found = select(
        slice_of(endpoint("10.0.0.2"), name="b"),
        slice_of(endpoint("10.0.0.10"), endpoint("10.0.0.1"), name="a"),
    )
    assert texts(found.cluster) == ["10.0.0.10:8080", "10.0.0.1:8080", "10.0.0.2:8080"]


def test_sorts_ipv6_by_its_bracketed_string() -> None:
    found = select(
        slice_of(endpoint("2001:db8::2"), endpoint("2001:db8::10"), address_type="IPv6"),
        port=PortIdentity("http", "TCP", "IPv6"),
    )
    assert [each.address for each in found.cluster] == ["2001:db8::10", "2001:db8::2"]


def test_a_named_port_may_have_another_number_in_every_slice() -> None:
    other = (EndpointPort("http", "TCP", 9090),)
    found = select(
        slice_of(endpoint("10.0.0.1")), slice_of(endpoint("10.0.0.1"), endpoint("10.0.0.2"), name="b", ports=other)
    )
    assert texts(found.cluster) == ["10.0.0.1:8080", "10.0.0.1:9090", "10.0.0.2:9090"]


@pytest.mark.parametrize(
    "port",
    [
        EndpointPort("https", "TCP", 8080),
        EndpointPort("http", "UDP", 8080),
        EndpointPort("", "TCP", 8080),
        EndpointPort(None, "TCP", 8080),
        EndpointPort("http", None, 8080),
        EndpointPort("http", "TCP", None),
        EndpointPort("http", "TCP", 0),
    ],
    ids=str,
)
def test_leaves_out_a_port_that_does_not_match_whole(port: EndpointPort) -> None:
    assert select(slice_of(endpoint("10.0.0.1"), ports=[port])).cluster == ()


def test_an_unnamed_port_joins_an_unnamed_port() -> None:
    ports = (EndpointPort("", "UDP", 53),)
    found = select(slice_of(endpoint("10.0.0.1"), ports=ports), port=PortIdentity("", "UDP", "IPv4"))
    assert texts(found.cluster) == ["10.0.0.1:53"]


@pytest.mark.parametrize(
    ("address_type", "address"),
    [("IPv6", "2001:db8::1"), ("FQDN", "myapp.example.com"), ("IPv4", "2001:db8::1"), ("IPv4", "myapp")],
)
def test_leaves_out_the_other_family_and_names(address_type: str, address: str) -> None:
    assert not select(slice_of(endpoint(address), address_type=address_type)).has_any


def test_uses_only_the_first_address_in_its_canonical_spelling() -> None:
    two = Endpoint(addresses=("010.0.0.1", "10.0.0.2"))
    assert texts(select(slice_of(two, Endpoint(), endpoint("10.0.0.1"))).cluster) == ["10.0.0.1:8080"]


def test_ignores_a_slice_that_is_labelled_headless() -> None:
    labelled = EndpointSlice(
        ObjectMeta("a", "default", labels={HEADLESS_LABEL: ""}),
        "IPv4",
        (endpoint("10.0.0.1"),),
        (EndpointPort("http", "TCP", 8080),),
    )
    assert not select(labelled).has_any


def test_a_new_pod_takes_the_address_of_a_terminating_one() -> None:
    old, new = endpoint("10.0.0.1", DRAINING, node="there"), endpoint("10.0.0.1", node="here")
    for first, second in [(old, new), (new, old)]:
        found = select(slice_of(first, name="a"), slice_of(second, name="b"))
        assert [each.endpoint for each in found.cluster] == [new]


def test_of_two_live_entries_the_last_slice_by_name_wins_whatever_the_order_of_arrival() -> None:
    first, second = endpoint("10.0.0.1", node="a"), endpoint("10.0.0.1", node="b")
    slices = [slice_of(first, name="a"), slice_of(second, name="b")]
    for arrived in (slices, slices[::-1]):
        assert [each.endpoint for each in select(*arrived).cluster] == [second]


def test_of_two_terminating_entries_the_first_stays() -> None:
    first, second = endpoint("10.0.0.1", DRAINING, node="a"), endpoint("10.0.0.1", DRAINING, node="b")
    assert [each.endpoint for each in select(slice_of(first, second)).cluster] == [first]


@pytest.mark.parametrize(
    ("conditions", "serves"),
    [
        (EndpointConditions(), True),
        (READY, True),
        (EndpointConditions(ready=True, serving=False, terminating=True), True),
        (DRAINING, True),
        (EndpointConditions(ready=False, terminating=True), True),
        (UNREADY, False),
        (GONE, False),
    ],
    ids=str,
)
def test_an_endpoint_alone_serves_if_ready_or_serving_to_its_end(conditions: EndpointConditions, serves: bool) -> None:
    found = select(slice_of(endpoint("10.0.0.1", conditions, node="here")))
    assert bool(found.cluster) is bool(found.local) is found.has_any is serves


def test_terminating_endpoints_serve_only_while_none_is_ready() -> None:
    draining = endpoint("10.0.0.1", DRAINING)
    assert texts(select(slice_of(draining, endpoint("10.0.0.2"))).cluster) == ["10.0.0.2:8080"]
    found = select(slice_of(draining, endpoint("10.0.0.2", UNREADY)))
    assert texts(found.cluster) == ["10.0.0.1:8080"]
    assert found.cluster_reason == "no endpoint is ready; terminating ones serve"


def test_the_local_set_falls_back_by_itself() -> None:
    found = select(slice_of(endpoint("10.0.0.1", DRAINING, node="here"), endpoint("10.0.0.2", node="there")))
    assert texts(found.cluster) == ["10.0.0.2:8080"]
    assert texts(found.local) == ["10.0.0.1:8080"]
    assert found.local_reason == "no endpoint on node here is ready; terminating ones serve"


def test_an_endpoint_elsewhere_counts_as_any_but_not_as_local() -> None:
    found = select(slice_of(endpoint("10.0.0.1", DRAINING, node="there")))
    assert found.local == ()
    assert found.has_any
    assert found.local_reason == "no endpoint on node here is ready"


def test_nothing_is_local_to_a_nameless_node() -> None:
    found = select(slice_of(endpoint("10.0.0.1", node="")), locality=Locality("", ""))
    assert found.local == ()
    assert found.local_reason == "the name of this node is not known, so no endpoint counts as local"


@pytest.mark.parametrize(
    ("name", "endpoints", "chosen"),
    [
        ("one zone hint missing", [endpoint("10.0.0.1", zones=["west"]), endpoint("10.0.0.2")], "both"),
        ("own zone", [endpoint("10.0.0.1", zones=["west"]), endpoint("10.0.0.2", zones=["east"])], "first"),
        ("two zones named", [endpoint("10.0.0.1", zones=["a", "west"]), endpoint("10.0.0.2", zones=["b"])], "first"),
        ("no hint for own zone", [endpoint("10.0.0.1", zones=["a"]), endpoint("10.0.0.2", zones=["b"])], "both"),
        ("own node", [endpoint("10.0.0.1", nodes=["here"]), endpoint("10.0.0.2", nodes=["there"])], "first"),
        ("one node hint missing", [endpoint("10.0.0.1", nodes=["here"]), endpoint("10.0.0.2")], "both"),
        (
            "node before zone",
            [endpoint("10.0.0.1", nodes=["here"], zones=["a"]), endpoint("10.0.0.2", nodes=["x"], zones=["west"])],
            "first",
        ),
        (
            "own zone where no node hint is ours",
            [endpoint("10.0.0.1", nodes=["x"], zones=["west"]), endpoint("10.0.0.2", nodes=["y"], zones=["a"])],
            "first",
        ),
        (
            "an unready endpoint without hints does not count",
            [endpoint("10.0.0.1", zones=["west"]), endpoint("10.0.0.2", UNREADY), endpoint("10.0.0.3", DRAINING)],
            "first",
        ),
        (
            "hints of terminating endpoints are ignored",
            [endpoint("10.0.0.1", DRAINING, zones=["west"]), endpoint("10.0.0.2", DRAINING, zones=["east"])],
            "both",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hints_narrow_the_cluster_set(name: str, endpoints: list[Endpoint], chosen: str) -> None:
    expected = ["10.0.0.1:8080", "10.0.0.2:8080"]
    assert texts(select(slice_of(*endpoints)).cluster) == (expected if chosen == "both" else expected[:1]), name


def test_hints_do_not_match_a_node_without_zone_or_name() -> None:
    hinted = [endpoint("10.0.0.1", zones=[""], nodes=[""]), endpoint("10.0.0.2", zones=["a"], nodes=["b"])]
    assert len(select(slice_of(*hinted), locality=Locality("", "")).cluster) == 2


def test_hints_never_apply_to_the_local_set() -> None:
    found = select(slice_of(endpoint("10.0.0.1", node="here", nodes=["there"]), endpoint("10.0.0.2", nodes=["here"])))
    assert texts(found.local) == ["10.0.0.1:8080"]
    assert texts(found.cluster) == ["10.0.0.2:8080"]


def test_says_which_hints_narrowed_the_set() -> None:
    assert select(slice_of(endpoint("10.0.0.1", nodes=["here"]))).cluster_reason == "hints keep traffic on node here"
    assert select(slice_of(endpoint("10.0.0.1", zones=["west"]))).cluster_reason == "hints keep traffic in zone west"
    assert select(slice_of(endpoint("10.0.0.1"))).cluster_reason == ""
    assert select().cluster_reason == "no endpoint is ready"


class Row(NamedTuple):
    """One endpoint as the reference sees it."""

    host: int
    ready: bool | None
    serving: bool | None
    terminating: bool | None
    node: str | None
    zones: frozenset[str]
    nodes: frozenset[str]

    def is_ready(self) -> bool:
        return self.ready in (None, True)

    def is_draining(self) -> bool:
        return self.serving in (None, True) and self.terminating is True

    def endpoint(self) -> Endpoint:
        conditions = EndpointConditions(self.ready, self.serving, self.terminating)
        return endpoint(f"10.0.0.{self.host}", conditions, self.node, sorted(self.zones), sorted(self.nodes))


def reference(rows: Sequence[Row], locality: Locality) -> tuple[set[int], set[int], bool]:
    """(cluster hosts, local hosts, has any) by the table of the rules."""
    survivors: dict[int, Row] = {}
    for host in {row.host for row in rows}:
        same = [row for row in rows if row.host == host]
        alive = [row for row in same if row.terminating is not True]
        survivors[host] = alive[-1] if alive else same[0]
    ready = {host for host, row in survivors.items() if row.is_ready()}
    draining = {host for host, row in survivors.items() if row.is_draining()}
    local = {host for host, row in survivors.items() if locality.node_name and row.node == locality.node_name}
    for_node = {host for host in ready if locality.node_name in survivors[host].nodes}
    for_zone = {host for host in ready if locality.zone in survivors[host].zones}
    if for_node and not any(survivors[host].nodes == frozenset() for host in ready):
        cluster = for_node
    elif for_zone and not any(survivors[host].zones == frozenset() for host in ready):
        cluster = for_zone
    else:
        cluster = ready
    return cluster or draining, (ready & local) or (draining & local), bool(ready | draining)


nil_or_bool = st.sampled_from([None, True, False])
rows = st.builds(
    Row,
    host=st.integers(1, 12),
    ready=nil_or_bool,
    serving=nil_or_bool,
    terminating=nil_or_bool,
    node=st.sampled_from([None, "", "here", "there"]),
    zones=st.frozensets(st.sampled_from(["west", "east"])),
    nodes=st.frozensets(st.sampled_from(["here", "there"])),
)
localities = st.builds(Locality, st.sampled_from(["", "here"]), st.sampled_from(["", "west"]))


@given(st.lists(st.lists(rows, max_size=4), max_size=4), localities)
def test_agrees_with_the_reference(groups: list[list[Row]], locality: Locality) -> None:
    slices = [slice_of(*(row.endpoint() for row in group), name=f"s{i}") for i, group in enumerate(groups)]
    found = select(*reversed(slices), locality=locality)
    cluster, local, has_any = reference([row for group in groups for row in group], locality)
    assert texts(found.cluster) == sorted(f"10.0.0.{host}:8080" for host in cluster)
    assert texts(found.local) == sorted(f"10.0.0.{host}:8080" for host in local)
    assert found.has_any is has_any


@given(st.lists(rows, max_size=6), localities)
def test_a_set_that_leaves_out_ready_endpoints_or_is_empty_has_a_reason(group: list[Row], locality: Locality) -> None:
    found = select(slice_of(*(row.endpoint() for row in group)), locality=locality)
    plain = select(slice_of(*(msgspec.structs.replace(row.endpoint(), hints=None) for row in group)))
    if not found.cluster or len(found.cluster) < len(plain.cluster):
        assert found.cluster_reason
    if not found.local:
        assert found.local_reason


PORTS = ("http", "https")


@given(
    st.lists(
        st.tuples(
            st.lists(rows, max_size=3), st.lists(st.tuples(st.sampled_from(PORTS), st.integers(1, 3)), max_size=3)
        ),
        max_size=3,
    ),
    localities,
)
def test_the_ports_of_a_service_are_told_apart_whichever_was_chosen_for_first(
    groups: list[tuple[list[Row], list[tuple[str, int]]]], locality: Locality
) -> None:
    slices = [
        slice_of(
            *(row.endpoint() for row in group),
            name=f"s{i}",
            ports=[EndpointPort(name, "TCP", number) for name, number in ports],
        )
        for i, (group, ports) in enumerate(groups)
    ]
    shared = candidates_of(slices, "IPv4")
    for name in (*PORTS, *PORTS):
        found = select_endpoints(shared, PortIdentity(name, "TCP", "IPv4"), locality)
        rows_at = {
            number: [row for group, ports in groups for each in ports if each == (name, number) for row in group]
            for number in (1, 2, 3)
        }
        assert set(found.draining) <= {
            PortEndpoint(f"10.0.0.{row.host}", number, row.endpoint()) for number in rows_at for row in rows_at[number]
        }
        hosts = {(row.host, number) for number in rows_at for row in rows_at[number]}
        assert {(int(each.address.split(".")[3]), each.port) for each in (*found.cluster, *found.local)} <= hosts
        if sum(map(bool, rows_at.values())) == 1:
            (number,) = [number for number in rows_at if rows_at[number]]
            cluster, local, _ = reference(rows_at[number], locality)
            assert texts(found.cluster) == sorted(f"10.0.0.{host}:{number}" for host in cluster)
            assert texts(found.local) == sorted(f"10.0.0.{host}:{number}" for host in local)
