"""Whatever clients do one after the other, the result is that of the objects that are left."""

import asyncio
import contextlib
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.apiserver.document import Document
from proxy.apiserver.embedded_api import EmbeddedAPI, embedded_api
from proxy.apiserver.kinds import ENDPOINT_SLICES, ENDPOINTS, NODES, PODS, SERVICES, Kind
from proxy.apiserver.status import StatusError
from proxy.apiserver.writes.options import DeleteOptions, WriteOptions
from proxy.cluster.cluster import Cluster, ClusterSettings
from proxy.cluster.ledger import Ledger, grant_of
from proxy.model.changes import Changes
from proxy.model.decoding import decode
from proxy.model.service import Service
from proxy.sources.merged_changes import merged_changes

SETTINGS = ClusterSettings(service_ranges=("10.0.0.0/28",), node_port_range=(30000, 30003), node_name="n0")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("put", "put", "put", "delete", "dry run")),
        st.sampled_from((SERVICES, PODS, NODES, ENDPOINTS, ENDPOINT_SLICES)),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    max_size=25,
)


def document(kind: Kind, name: int, variant: int) -> Document:
    metadata: dict[str, Any] = {"name": f"n{name}"}
    if kind is PODS:
        metadata["labels"] = {"app": f"a{variant % 2}", "svcproxy.io/weight": str(variant)}
        return {"metadata": metadata, "spec": {"nodeName": "n1"}, "status": {"podIP": f"10.1.0.{name + 1}"}}
    if kind is NODES:
        return {"metadata": {**metadata, "labels": {"topology.kubernetes.io/zone": f"z{variant}"}}}
    if kind is ENDPOINTS:
        return {
            "metadata": metadata,
            "subsets": [{"addresses": [{"ip": f"10.2.0.{variant + 1}"}], "ports": [{"port": 1}]}],
        }
    if kind is ENDPOINT_SLICES:
        metadata["labels"] = {"kubernetes.io/service-name": f"n{variant}"}
        return {"metadata": metadata, "addressType": "IPv4", "endpoints": [{"addresses": [f"10.3.0.{variant + 1}"]}]}
    selector = {"app": f"a{name % 2}"} if variant % 2 else None
    node_port = {"nodePort": 30000} if variant == 3 else {}
    ports = [{"port": 80, **node_port}]
    return {"metadata": metadata, "spec": {"type": "NodePort", "selector": selector, "ports": ports}}


async def step(api: EmbeddedAPI, action: str, kind: Kind, name: int, variant: int) -> None:
    namespace = "default" if kind.namespaced else ""
    key, options = (namespace, f"n{name}"), WriteOptions(dry_run=action == "dry run")
    if action == "delete":
        await api.operations.delete(kind, key, DeleteOptions())
    elif api.store.get(kind, key) is None:
        await api.operations.create(kind, namespace, document(kind, name, variant), options)
    else:
        await api.operations.update(kind, key, document(kind, name, variant), options)


def from_scratch(api: EmbeddedAPI) -> Changes:
    """What a cluster makes of the objects that clients left behind."""
    kinds = (SERVICES, PODS, NODES, ENDPOINTS, ENDPOINT_SLICES)
    given = [each for kind in kinds for each in api.store.objects(kind).values() if not each.made]
    items = [item for each in given if (item := decode(each.document)) is not None]
    grants = tuple(grant_of(item) for item in items if isinstance(item, Service))
    return Cluster(SETTINGS, Ledger(grants), Random(2)).apply(items, ())


def essence(changes: Changes) -> tuple[object, ...]:
    slices = {
        (each.key, each.address_type, each.endpoints, each.ports, tuple(sorted(each.metadata.labels.items())))
        for each in changes.slices
    }
    services = {each.key: each.spec for each in changes.services}
    weights = {(each.namespace, each.name): each.weight for each in changes.pod_weights if each.weight is not None}
    return services, slices, weights


def contents(api: EmbeddedAPI) -> dict[tuple[str, str], Document]:
    kinds = (SERVICES, ENDPOINTS, ENDPOINT_SLICES)
    return {(kind.kind, key[1]): each.document for kind in kinds for key, each in api.store.objects(kind).items()}


async def scenario(steps: list[tuple[str, Kind, int, int]], directory: str) -> None:
    told: list[Changes] = []
    async with embedded_api(directory, ("127.0.0.1", 0), SETTINGS, told.append, Random(1)) as api:
        for action, kind, name, variant in steps:
            with contextlib.suppress(StatusError):
                await step(api, action, kind, name, variant)
        expected = from_scratch(api)
        assert essence(merged_changes(told)) == essence(expected)
        stored = {each.key: each.document for each in api.store.objects(ENDPOINT_SLICES).values()}
        assert stored.keys() == {each.key for each in expected.slices}
        for each in expected.slices:
            shown = decode(stored[each.key])
            assert shown is not None
            assert (shown.endpoints, shown.ports) == (each.endpoints, each.ports)  # type: ignore[union-attr]
        left = contents(api)
        version = api.store.version
    again: list[Changes] = []
    async with embedded_api(directory, ("127.0.0.1", 0), SETTINGS, again.append, Random(3)) as api:
        assert essence(merged_changes(again)) == essence(expected)
        assert api.store.version == version
        assert contents(api) == left


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_any_sequence_of_changes_ends_where_its_objects_do(steps: list[tuple[str, Kind, int, int]]) -> None:
    with TemporaryDirectory() as directory:
        asyncio.run(scenario(steps, directory))
