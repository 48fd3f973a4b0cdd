"""The index against a model made from scratch: after any changes it says what the objects of the moment say."""

from collections.abc import Iterable
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from proxy.dns.name_index import NameIndex
from proxy.dns.record_set import EMPTY, RecordSet
from proxy.dns.wire_name import text_of, wire_name
from proxy.model.changes import Changes
from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.service import Service
from tests.dns.objects import endpoint, endpoint_slice, named_port, service

ZONE = "cluster.local"
RANGES = ("10.96.0.0/12",)

Records = set[tuple[str, str, str]]
"""(name, type, value), all in text."""


def model(services: Iterable[Service], slices: Iterable[EndpointSlice]) -> Records:
    """The specification, written down once more, in text and without a thought for speed."""
    found: Records = set()
    slices = list(slices)
    for each in services:
        own = f"{each.metadata.name}.{each.metadata.namespace}.svc.{ZONE}."
        ports = [(port.name, port.protocol.lower(), port.port) for port in each.spec.ports]
        if each.spec.type == "ExternalName":
            found.add((own, "CNAME", f"{each.spec.external_name}."))
        elif each.spec.cluster_ip != "None":
            for address in each.spec.cluster_ips:
                found |= {(own, "A", address), (f"{ip_address(address).reverse_pointer}.", "PTR", own)}
            for name, protocol, number in ports:
                found.add((own, "SRV", f"{number} {own}"))
                if name:
                    found.add((f"_{name}._{protocol}.{own}", "SRV", f"{number} {own}"))
        else:
            found |= headless(own, each.spec.publish_not_ready_addresses, slices_of(each, slices))
    return found


def slices_of(of: Service, slices: list[EndpointSlice]) -> list[EndpointSlice]:
    return sorted((each for each in slices if each.service == of.key), key=lambda each: each.key)


def headless(own: str, everything: bool, slices: list[EndpointSlice]) -> Records:
    found: Records = set()
    pointers: dict[str, str] = {}
    targets: dict[str, set[tuple[str, str, int]]] = {}
    for each in slices:
        for one in each.endpoints:
            if not (everything or one.conditions.ready is not False):
                continue
            (address,) = one.addresses
            dashed = f"{address.replace('.', '-')}.{own}"
            host = f"{one.hostname}.{own}" if one.hostname else dashed
            found |= {(own, "A", address), (dashed, "A", address), (host, "A", address)}
            pointers[address] = host
            targets.setdefault(address, set()).update(
                (port.name or "", (port.protocol or "").lower(), port.port or 0) for port in each.ports
            )
    for address, host in pointers.items():
        found.add((f"{ip_address(address).reverse_pointer}.", "PTR", host))
        for name, protocol, number in targets[address]:
            found.add((own, "SRV", f"{number} {host}"))
            if name:
                found.add((f"_{name}._{protocol}.{own}", "SRV", f"{number} {host}"))
    return found


def records(index: NameIndex) -> Records:
    """What the index says of Services."""
    fixed = {index.name_server, wire_name(f"dns-version.{ZONE}")}
    return {
        (text_of(name), kind, value)
        for name, node in index.nodes.items()
        if name not in fixed
        for kind, value in shown(node)
    }


def shown(node: RecordSet) -> Iterable[tuple[str, str]]:
    yield from (("A", address) for address in node.addresses)
    yield from (("SRV", f"{target.port} {text_of(target.host)}") for target in node.targets)
    yield from (("PTR", text_of(pointer)) for pointer in node.pointers)
    if node.alias:
        yield "CNAME", text_of(node.alias)


port_lists = st.lists(st.sampled_from([("http", "TCP", 80), ("dns", "UDP", 53), ("", "TCP", 81)]), unique=True)
names = st.sampled_from(["a", "b"])
namespaces = st.sampled_from(["default", "other"])
services = st.one_of(
    st.builds(
        service,
        names,
        st.sampled_from(["10.96.0.1", "10.97.0.2", "10.200.0.3", "None"]),
        ports=port_lists,
        namespace=namespaces,
        publishNotReadyAddresses=st.booleans(),
    ),
    st.builds(service, names, namespace=namespaces, type=st.just("ExternalName"), externalName=st.just("x.example")),
)
endpoints = st.builds(
    endpoint,
    st.sampled_from([f"10.244.0.{number}" for number in range(1, 5)]),
    hostname=st.sampled_from(["", "one", "two"]),
    ready=st.sampled_from([None, True, False]),
)
slice_ports = st.lists(st.builds(named_port, st.sampled_from(["http", ""]), st.sampled_from([8080, 9090])), max_size=2)
slices = st.builds(
    endpoint_slice,
    names,
    st.sampled_from(["s1", "s2"]),
    st.lists(endpoints, max_size=3),
    slice_ports,
    namespace=namespaces,
)
keys = st.tuples(namespaces, names)
slice_keys = st.tuples(namespaces, st.sampled_from(["s1", "s2"]))
batches = st.builds(
    Changes,
    services=st.lists(services, max_size=2).map(tuple),
    removed_services=st.lists(keys, max_size=1).map(tuple),
    slices=st.lists(slices, max_size=2).map(tuple),
    removed_slices=st.lists(slice_keys, max_size=1).map(tuple),
)


@given(st.lists(batches, max_size=6))
def test_after_any_changes_the_index_says_what_the_objects_say(changes: list[Changes]) -> None:
    index = NameIndex(ZONE, RANGES)
    known_services: dict[tuple[str, str], Service] = {}
    known_slices: dict[tuple[str, str], EndpointSlice] = {}
    for batch in changes:
        index.apply(batch)
        for key in batch.removed_services:
            known_services.pop(key, None)
        known_services.update({each.key: each for each in batch.services})
        for key in batch.removed_slices:
            known_slices.pop(key, None)
        known_slices.update({each.key: each for each in batch.slices})
        assert records(index) == model(known_services.values(), known_slices.values())
        assert dict(index.nodes) == dict(fresh(known_services.values(), known_slices.values()).nodes)


def fresh(services: Iterable[Service], slices: Iterable[EndpointSlice]) -> NameIndex:
    index = NameIndex(ZONE, RANGES)
    index.apply(Changes(services=tuple(services), slices=tuple(slices)))
    return index


@given(st.lists(batches, max_size=4))
def test_the_names_above_a_name_exist_up_to_the_zone(changes: list[Changes]) -> None:
    index = NameIndex(ZONE, RANGES)
    for batch in changes:
        index.apply(batch)
    for name in index.nodes:
        apex = index.zone_of(name)
        while apex is not None and name != apex:
            name = name[name[0] + 1 :]
            assert name in index.nodes


def test_what_did_not_change_keeps_its_record_set() -> None:
    index = NameIndex(ZONE, RANGES)
    pods = [endpoint("10.244.0.1"), endpoint("10.244.0.2")]
    index.apply(Changes(services=(service("a", "None"), service("b", "10.96.0.1")), slices=(slice_with(pods),)))
    before = dict(index.nodes)
    index.apply(Changes(services=(service("b", "10.96.0.1"),), slices=(slice_with(pods[:1]),)))
    changed = {text_of(name) for name, node in index.nodes.items() if before.get(name) is not node}
    assert changed == {f"a.default.svc.{ZONE}."}
    assert {text_of(name) for name in before.keys() - index.nodes.keys()} == {
        f"10-244-0-2.a.default.svc.{ZONE}.",
        "2.0.244.10.in-addr.arpa.",
    }


def slice_with(endpoints: list[dict[str, object]]) -> EndpointSlice:
    return endpoint_slice("a", "s", endpoints)


def test_everything_that_came_goes_again() -> None:
    index = NameIndex(ZONE, RANGES)
    empty = dict(index.nodes)
    index.apply(Changes(services=(service("a", "10.96.0.1", ports=[("http", "TCP", 80)]),)))
    assert index.nodes != empty
    index.apply(Changes(removed_services=(("default", "a"),)))
    assert dict(index.nodes) == empty


def test_a_name_that_dns_cannot_hold_is_left_out_alone() -> None:
    index = NameIndex(ZONE, RANGES)
    too_long = "p" * 63
    index.apply(Changes(services=(service("a", "10.96.0.1", ports=[(too_long, "TCP", 80), ("http", "TCP", 81)]),)))
    assert wire_name(f"_http._tcp.a.default.svc.{ZONE}") in index.nodes
    assert not any(len(label) > 63 for name in index.nodes for label in text_of(name).split("."))
    index.apply(Changes(services=(service("b", type="ExternalName", externalName="x" * 64 + ".example"),)))
    assert index.nodes[wire_name(f"b.default.svc.{ZONE}")] is EMPTY


def test_an_address_that_stands_for_all_is_not_the_name_servers() -> None:
    index = NameIndex(ZONE, RANGES)
    index.serve_at(["0.0.0.0", "10.96.0.10", "::"])
    assert index.nodes[index.name_server].addresses == ("10.96.0.10",)
