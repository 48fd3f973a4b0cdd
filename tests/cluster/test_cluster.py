"""The whole: changes that are real differences, and whose sum is what a small model computes from scratch."""

from collections import Counter
from collections.abc import Iterable
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from proxy.cluster.cluster import Cluster, ClusterSettings, ObjectId, object_id
from proxy.cluster.ledger import Ledger
from proxy.cluster.mirrored_slices import CONTROLLER as MIRRORING_CONTROLLER
from proxy.model.changes import Changes, PodWeight
from proxy.model.decoding import Object
from proxy.model.defaults import default_service
from proxy.model.endpoint_slice import CONTROLLER, MANAGED_BY_LABEL, SERVICE_NAME_LABEL, Endpoint, EndpointSlice
from proxy.model.endpoints import EndpointAddress, Endpoints, EndpointSubset
from proxy.model.metadata import ObjectMeta
from proxy.model.node import Node, NodeStatus, deleted_node
from proxy.model.pod import Pod, PodSpec, PodStatus
from proxy.model.service import Service, ServicePort, ServiceSpec

NOTHING = Changes()


def cluster(ledger: Ledger | None = None, seed: int = 1) -> Cluster:
    return Cluster(ClusterSettings(node_name="here"), ledger or Ledger(), Random(seed))


def service(
    name: str = "s", selector: dict[str, str] | None = None, type: str = "ClusterIP", **spec: object
) -> Service:
    name_of = "a.example" if type == "ExternalName" else ""
    made = ServiceSpec(type=type, ports=(ServicePort(80),), selector=selector, external_name=name_of, **spec)  # type: ignore[arg-type]
    return default_service(Service(ObjectMeta(name=name, namespace="default"), made))


def pod(name: str = "p", address: str = "127.0.1.1", labels: dict[str, str] | None = None, node: str = "") -> Pod:
    metadata = ObjectMeta(name=name, namespace="default", labels=labels or {"app": "a"})
    return Pod(metadata, PodSpec(node_name=node), PodStatus(pod_ip=address))


def node(name: str = "here", zone: str = "") -> Node:
    return Node(ObjectMeta(name=name, labels={"topology.kubernetes.io/zone": zone} if zone else {}))


def endpoints(name: str = "s", address: str = "127.0.2.1") -> Endpoints:
    return Endpoints(ObjectMeta(name=name, namespace="default"), (EndpointSubset((EndpointAddress(address),)),))


def endpoint_slice(
    name: str = "x", owner: str = "s", address: str = "127.0.3.1", maker: str | None = None
) -> EndpointSlice:
    labels = {SERVICE_NAME_LABEL: owner} | ({} if maker is None else {MANAGED_BY_LABEL: maker})
    metadata = ObjectMeta(name=name, namespace="default", labels=labels)
    return EndpointSlice(metadata, "IPv4", (Endpoint((address,)),))


def addresses(slices: Iterable[EndpointSlice]) -> list[str]:
    return sorted(entry.addresses[0] for item in slices for entry in item.endpoints)


SELECTING = service(selector={"app": "a"})


def test_settings_that_make_no_sense_are_refused() -> None:
    for ranges in [(), ("10.0.0.0/24", "10.1.0.0/24"), ("nonsense",)]:
        with pytest.raises(ValueError, match=r"service range|nonsense"):
            Cluster(ClusterSettings(service_ranges=ranges), Ledger(), Random(0))


def test_the_default_range_needs_no_privileges() -> None:
    (made,) = cluster().apply([service()], []).services
    assert made.spec.cluster_ip.startswith("127.96.")


def test_an_unchanged_object_changes_nothing() -> None:
    everything: list[Object] = [SELECTING, service("t"), pod(), node(zone="west"), endpoints("t"), endpoint_slice()]
    subject = cluster()
    assert subject.apply(everything, []) != NOTHING
    assert subject.apply(everything, []) == NOTHING
    assert subject.apply([], [("Pod", "default", "never"), ("Secret", "default", "p")]) == NOTHING


def test_a_pod_reaches_the_services_that_select_it_before_or_after() -> None:
    subject = cluster()
    subject.apply([SELECTING, service("t", {"app": "b"}), service("u", {"app": "c"}), pod()], [])
    changes = subject.apply([pod(labels={"app": "b"})], [])
    assert {item.service for item in changes.slices} == {("default", "s"), ("default", "t")}
    assert addresses(changes.slices) == ["127.0.1.1"]
    assert not changes.services


def test_a_weight_is_told_when_it_changes() -> None:
    subject = cluster()
    weighted = pod(labels={"svcproxy.io/weight": "3"})
    assert subject.apply([pod()], []).pod_weights == ()
    assert subject.apply([weighted], []).pod_weights == (PodWeight("default", "p", 3),)
    moved = replace(weighted, status=PodStatus(pod_ip="127.0.1.9"))
    assert subject.apply([moved], []).pod_weights == ()
    assert subject.apply([], [object_id(moved)]).pod_weights == (PodWeight("default", "p", None),)


def test_the_own_node_is_told_and_so_is_its_loss() -> None:
    subject = cluster()
    assert subject.apply([node("there", "east")], []).node is None
    assert subject.apply([node(zone="west")], []).node == node(zone="west")
    assert subject.apply([], [("Node", "", "here")]).node == deleted_node("here")


def test_a_zone_reaches_the_endpoints_on_its_node() -> None:
    subject = cluster()
    subject.apply([SELECTING, pod(), pod("q", "127.0.1.2", node="there")], [])
    (first,) = subject.apply([node(zone="west")], []).slices
    assert [entry.zone for entry in first.endpoints] == ["west", None]
    (changed,) = subject.apply([node("there", "east")], []).slices
    assert {entry.addresses[0]: entry.zone for entry in changed.endpoints} == {"127.0.1.1": "west", "127.0.1.2": "east"}
    (without,) = subject.apply([], [("Node", "", "there")]).slices
    assert [entry.zone for entry in without.endpoints] == ["west", None]


def test_given_slices_pass_through_and_go_with_their_removal() -> None:
    subject, given_slice = cluster(), endpoint_slice()
    assert given_slice in subject.apply([SELECTING, given_slice], []).slices
    assert subject.apply([], [object_id(given_slice)]).removed_slices == (given_slice.key,)


def test_endpoints_are_mirrored_for_a_service_without_a_selector_alone() -> None:
    subject = cluster()
    assert addresses(subject.apply([endpoints()], []).slices) == []
    assert addresses(subject.apply([service()], []).slices) == ["127.0.2.1"]
    changes = subject.apply([SELECTING], [])
    assert len(changes.removed_slices) == 1
    assert addresses(changes.slices) == []
    assert addresses(subject.apply([service()], []).slices) == ["127.0.2.1"]
    assert len(subject.apply([], [("Endpoints", "default", "s")]).removed_slices) == 1


def test_an_external_name_service_has_no_slices() -> None:
    subject = cluster()
    subject.apply([SELECTING, pod()], [])
    changes = subject.apply([service(selector={"app": "a"}, type="ExternalName")], [])
    assert len(changes.removed_slices) == 1
    assert changes.services[0].spec.cluster_ips == ()


def test_a_removed_service_takes_its_slices_along() -> None:
    subject = cluster()
    (made,) = subject.apply([SELECTING, pod()], []).slices
    changes = subject.apply([], [("Service", "default", "s")])
    assert (changes.removed_services, changes.removed_slices) == ((("default", "s"),), (made.key,))


def test_an_object_that_moves_to_another_file_is_not_removed() -> None:
    subject = cluster()
    subject.apply([SELECTING, pod()], [])
    assert subject.apply([SELECTING, pod()], [object_id(SELECTING), object_id(pod())]) == NOTHING


def test_a_refused_version_is_reported_and_changes_nothing() -> None:
    subject = cluster()
    subject.apply([SELECTING, pod()], [])
    refused = service(selector={"app": "a"}, cluster_ip="10.0.0.1")
    assert subject.apply([refused], []) == NOTHING
    ((identity, errors),) = subject.refused.items()
    assert identity == ("Service", "default", "s")
    assert "the provided network does not match the current range" in str(errors[0])
    assert subject.apply([SELECTING], []) == NOTHING
    assert not subject.refused


def test_a_slice_of_another_clusters_controller_counts_only_where_nobody_does_its_work_here() -> None:
    subject = cluster()
    exported = endpoint_slice(maker=CONTROLLER)
    assert addresses(subject.apply([exported, service()], []).slices) == ["127.0.3.1"]
    assert not subject.left_out
    changes = subject.apply([SELECTING, pod()], [])
    assert addresses(changes.slices) == ["127.0.1.1"]
    assert changes.removed_slices == (exported.key,)
    assert list(subject.left_out) == [object_id(exported)]
    assert addresses(subject.apply([service()], []).slices) == ["127.0.3.1"]
    assert not subject.left_out


def test_a_mirrored_slice_is_left_out_beside_the_endpoints_that_it_mirrors() -> None:
    subject = cluster()
    exported = endpoint_slice(maker=MIRRORING_CONTROLLER)
    assert addresses(subject.apply([exported, service()], []).slices) == ["127.0.3.1"]
    assert addresses(subject.apply([endpoints()], []).slices) == ["127.0.2.1"]
    assert list(subject.left_out) == [object_id(exported)]
    subject.apply([], [object_id(exported)])
    assert not subject.left_out


def test_a_service_that_waited_for_an_unclaimed_port_comes_in() -> None:
    old = cluster()
    (before,) = old.apply([service("gone", type="NodePort")], []).services
    wanted = replace(before.spec.ports[0], name="")
    waiting = service("new", type="NodePort")
    waiting = replace(waiting, spec=replace(waiting.spec, ports=(wanted,)))
    subject = cluster(old.ledger)
    assert subject.apply([waiting], []) == NOTHING
    (admitted,) = subject.release_unclaimed().services
    assert admitted.spec.ports[0].node_port == wanted.node_port
    assert subject.release_unclaimed() == NOTHING


MAKERS = (None, "somebody", CONTROLLER, MIRRORING_CONTROLLER)
NAMES = st.sampled_from("abc")
LABELS = st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from("12"), max_size=2)
ADDRESSES = st.integers(1, 250).map(lambda last: f"127.0.9.{last}")
OBJECTS = st.one_of(
    st.builds(service, NAMES, LABELS | st.none(), st.sampled_from(["ClusterIP", "NodePort", "ExternalName"])),
    st.builds(pod, st.sampled_from("pqrstu"), ADDRESSES, LABELS, st.sampled_from(["", "here", "there"])),
    st.builds(node, st.sampled_from(["here", "there"]), st.sampled_from(["", "west", "east"])),
    st.builds(endpoints, NAMES, ADDRESSES),
    st.builds(endpoint_slice, st.sampled_from("xyz"), NAMES, ADDRESSES, st.sampled_from(MAKERS)),
)
BATCHES = st.lists(st.lists(st.tuples(st.booleans(), OBJECTS), max_size=6), max_size=6)

Row = tuple[str, str, str, str | None]
"""(Service, address, node, zone) of one endpoint."""


def is_left_out(item: EndpointSlice, objects: dict[ObjectId, Object]) -> bool:
    maker, owner = item.metadata.labels.get(MANAGED_BY_LABEL), item.metadata.labels[SERVICE_NAME_LABEL]
    service = objects.get(("Service", "default", owner))
    if maker not in MAKERS[2:] or not isinstance(service, Service) or service.spec.type == "ExternalName":
        return False
    mirrored = maker == MIRRORING_CONTROLLER and ("Endpoints", "default", owner) in objects
    return bool(service.spec.selector) or mirrored


def expected_rows(objects: dict[ObjectId, Object]) -> set[Row]:
    """Every endpoint of every Service, from first principles."""
    zones = {item.metadata.name: item.zone for item in objects.values() if isinstance(item, Node)}
    rows: set[Row] = set()
    for item in objects.values():
        if isinstance(item, EndpointSlice) and not is_left_out(item, objects):
            rows.add((item.metadata.labels[SERVICE_NAME_LABEL], item.endpoints[0].addresses[0], "", None))
        if not isinstance(item, Service) or item.spec.type == "ExternalName":
            continue
        name = item.metadata.name
        legacy = objects.get(("Endpoints", "default", name))
        if not item.spec.selector and isinstance(legacy, Endpoints):
            rows.add((name, legacy.subsets[0].addresses[0].ip, "", None))
        for other in objects.values():
            wanted = set((item.spec.selector or {}).items())
            if isinstance(other, Pod) and wanted and wanted <= set(other.metadata.labels.items()):
                host = other.spec.node_name or "here"
                rows.add((name, other.status.pod_ip, host, zones.get(host) or None))
    return rows


def rows_of(slices: Iterable[EndpointSlice]) -> set[Row]:
    return {
        (item.metadata.labels[SERVICE_NAME_LABEL], entry.addresses[0], entry.node_name or "", entry.zone)
        for item in slices
        for entry in item.endpoints
    }


@settings(deadline=None)
@given(BATCHES)
def test_all_changes_add_up_to_what_is_computed_from_scratch(batches: list[list[tuple[bool, Object]]]) -> None:
    subject, objects = cluster(), dict[ObjectId, Object]()
    services = dict[tuple[str, str], Service]()
    slices = dict[tuple[str, str], EndpointSlice]()
    for batch in batches:
        put = {object_id(item): item for wanted, item in batch if wanted}
        gone = [object_id(item) for wanted, item in batch if not wanted and object_id(item) not in put]
        objects = {name: item for name, item in {**objects, **put}.items() if name not in gone}
        changes = subject.apply(put.values(), gone)
        assert all(slices.get(item.key) != item for item in changes.slices)
        assert all(services.get(item.key) != item for item in changes.services)
        services |= {item.key: item for item in changes.services}
        slices |= {item.key: item for item in changes.slices}
        for key in changes.removed_services:
            del services[key]
        for key in changes.removed_slices:
            del slices[key]
        assert {("Service", *key) for key in services} == {name for name in objects if name[0] == "Service"}
        assert rows_of(slices.values()) == expected_rows(objects)
    again = cluster(msgspec.json.decode(msgspec.json.encode(subject.ledger), type=Ledger), seed=2)
    restarted = again.apply(objects.values(), [])
    assert {item.key: item for item in restarted.slices} == slices
    assert {item.key: item.spec.cluster_ips for item in restarted.services} == {
        key: item.spec.cluster_ips for key, item in services.items()
    }


@given(st.lists(OBJECTS, max_size=12, unique_by=object_id), st.randoms())
def test_the_order_of_a_batch_means_nothing(batch: list[Object], random: Random) -> None:
    shuffled = list(batch)
    random.shuffle(shuffled)
    one, other = cluster().apply(batch, []), cluster().apply(shuffled, [])
    assert (one.services, one.slices, one.node) == (other.services, other.slices, other.node)


def test_hints_follow_the_processors_of_the_zones() -> None:
    made = cluster()
    annotated = service(selector={"app": "a"})
    metadata = replace(annotated.metadata, annotations={"service.kubernetes.io/topology-mode": "Auto"})
    nodes = [sized_node(zone, "4") for zone in "abc"]
    pods = [pod(f"p{number}", f"127.0.1.{number}", node="a") for number in range(1, 7)]
    first = made.apply([replace(annotated, metadata=metadata), *pods, *nodes[:2]], ())
    assert hinted(first) == {"a": 3, "b": 3}
    assert hinted(made.apply([nodes[2]], ())) == {"a": 2, "b": 2, "c": 2}
    assert hinted(made.apply([sized_node("a", "16")], ())) == {"a": 4, "b": 1, "c": 1}
    assert made.apply([sized_node("a", "16")], ()) == NOTHING
    assert hinted(made.apply([], [("Node", "", "b"), ("Node", "", "c")])) == {}
    assert made.apply([], [("Service", "default", "s")]).removed_services
    assert made.apply(nodes, ()).slices == ()


def test_an_endpoint_names_the_uid_of_its_pod() -> None:
    made = pod()
    changes = cluster().apply(
        [service(selector={"app": "a"}), replace(made, metadata=replace(made.metadata, uid="u-1"))], ()
    )
    (reference,) = [each.target_ref for item in changes.slices for each in item.endpoints]
    assert reference is not None
    assert reference.uid == "u-1"


def sized_node(zone: str, cpu: str) -> Node:
    """A node that is named for its zone."""
    return replace(node(zone, zone), status=NodeStatus(allocatable={"cpu": cpu}))


def hinted(changes: Changes) -> dict[str, int]:
    """How many endpoints are hinted for each zone."""
    hints = (each.hints for item in changes.slices for each in item.endpoints)
    return dict(Counter(each.for_zones[0].name for each in hints if each))
