"""The cluster where there is none: objects of manifests in, objects as a real API server would show them out.

Invariant: what all Changes so far add up to depends on the objects and the ledger alone, except for numbers given at
random; an unchanged object changes nothing, and one change costs what it touches, however many objects there are.
"""

from collections.abc import Iterable, Mapping
from random import Random

import msgspec

from proxy.cluster.allocators import allocators_for
from proxy.cluster.ledger import Ledger
from proxy.cluster.mirrored_slices import mirrored_slices
from proxy.cluster.pod_slices import pod_slices
from proxy.cluster.selector_index import SelectorIndex
from proxy.cluster.service_registry import ServiceRegistry
from proxy.cluster.slice_store import SliceStore, controllers_for
from proxy.cluster.topology_hints import CpuRatios, cpu_ratios, wants_hints
from proxy.cluster.trigger_times import TriggerTimes
from proxy.model.changes import Changes, ObjectKey, PodWeight
from proxy.model.decoding import Object
from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.endpoints import Endpoints
from proxy.model.node import Node, deleted_node
from proxy.model.pod import Pod
from proxy.model.pod_weight import pod_weight
from proxy.model.problem import FieldError
from proxy.model.service import Service

ObjectId = tuple[str, str, str]
"""(kind, namespace, name); a Node's namespace is empty."""


def object_id(item: Object) -> ObjectId:
    """The identity of an object of the model, whose classes are named for their kinds."""
    return type(item).__name__, item.metadata.namespace, item.metadata.name


class ClusterSettings(msgspec.Struct, frozen=True):
    """`service_ranges` are one CIDR or two of different families, the default family first; `node_port_range` is
    (first, last); `node_name` is this machine, where a Pod runs that names no node."""

    service_ranges: tuple[str, ...] = ("127.96.0.0/16",)
    node_port_range: tuple[int, int] = (30000, 32767)
    node_name: str = ""


class Cluster:
    """Admits Services and keeps their slices. Raises ValueError for settings that make no sense."""

    def __init__(self, settings: ClusterSettings, ledger: Ledger, random: Random) -> None:
        allocators = allocators_for(settings.service_ranges, settings.node_port_range, random)
        self._node_name = settings.node_name
        self._services = ServiceRegistry(allocators, ledger)
        self._selectors = SelectorIndex()
        self._slices = SliceStore()
        self._triggers = TriggerTimes()
        self._endpoints: dict[ObjectKey, Endpoints] = {}
        self._zones: dict[str, str] = {}
        self._nodes: dict[str, Node] = {}
        self._ratios: CpuRatios = {}
        self._by_processors: set[ObjectKey] = set()
        self._own_node: Node | None = None
        self._reported_services: dict[ObjectKey, Service] = {}
        self._reported_node: Node | None = None
        self._pod_weights: list[PodWeight] = []

    @property
    def refused(self) -> Mapping[ObjectId, tuple[FieldError, ...]]:
        """Objects whose newest version is not in force, and why."""
        return {("Service", *key): errors for key, errors in self._services.refused.items()}

    @property
    def left_out(self) -> tuple[ObjectId, ...]:
        """The given slices that do not count, because what their controller does is done here."""
        return tuple(("EndpointSlice", *key) for key in self._slices.left_out)

    @property
    def ledger(self) -> Ledger:
        """Everything that is given out; the same object until that changes."""
        return self._services.ledger

    def trial(self, service: Service) -> Service:
        """What `service` would be in force; nothing changes. Raises NotAdmittedError."""
        return self._services.trial(service)

    def apply(self, put: Iterable[Object], removed: Iterable[ObjectId]) -> Changes:
        """Take objects (decoded, defaulted, statically valid) and removals as one batch. Its order means nothing.

        An object that is both removed and put is put; of several versions in a batch the last counts.
        """
        newest = {object_id(item): item for item in put}
        gone = [identity for identity in removed if identity not in newest]
        services = [item for item in newest.values() if isinstance(item, Service)]
        touched = self._services.apply(
            services, [(namespace, name) for kind, namespace, name in gone if kind == "Service"]
        )
        touched.update(*(self._put(item) for item in newest.values()))
        touched.update(*(self._remove(kind, (namespace, name)) for kind, namespace, name in gone))
        return self._changes(touched)

    def release_unclaimed(self) -> Changes:
        """Free what the ledger holds for Services that never appeared, and admit whoever waited for that."""
        return self._changes(self._services.release_unclaimed())

    def _put(self, item: Object) -> set[ObjectKey]:
        """Take one object; returns the Services whose slices may change by it."""
        if isinstance(item, Pod):
            return self._set_pod(item.key, item)
        if isinstance(item, Endpoints):
            return self._set_endpoints(item.key, item)
        if isinstance(item, EndpointSlice):
            self._slices.give(item.key, item)
        if isinstance(item, Node):
            return self._set_node(item.metadata.name, item)
        return set()

    def _remove(self, kind: str, key: ObjectKey) -> set[ObjectKey]:
        """Like `_put`, for a removal."""
        match kind:
            case "Pod":
                return self._set_pod(key, None)
            case "Endpoints":
                return self._set_endpoints(key, None)
            case "EndpointSlice":
                self._slices.give(key, None)
            case "Node":
                return self._set_node(key[1], None)
        return set()

    def _set_pod(self, key: ObjectKey, pod: Pod | None) -> set[ObjectKey]:
        before = self._selectors.pods.get(key)
        if pod == before:
            return set()
        touched = self._selectors.services_of(key)
        if pod is None:
            self._selectors.remove_pod(key)
        else:
            self._selectors.put_pod(pod)
        weight = _weight(pod)
        if weight != _weight(before):
            self._pod_weights.append(PodWeight(*key, weight))
        return touched | self._selectors.services_of(key)

    def _set_endpoints(self, key: ObjectKey, endpoints: Endpoints | None) -> set[ObjectKey]:
        if endpoints is None:
            self._endpoints.pop(key, None)
        else:
            self._endpoints[key] = endpoints
        return {key}

    def _set_node(self, name: str, node: Node | None) -> set[ObjectKey]:
        if name == self._node_name:
            self._own_node = node or deleted_node(name)
        touched = self._set_processors(name, node)
        zone = node.zone if node is not None else ""
        if zone == self._zones.get(name, ""):
            return touched
        self._zones.pop(name, None)
        if zone:
            self._zones[name] = zone
        residents = [
            key for key, pod in self._selectors.pods.items() if (pod.spec.node_name or self._node_name) == name
        ]
        return touched.union(*(self._selectors.services_of(key) for key in residents))

    def _set_processors(self, name: str, node: Node | None) -> set[ObjectKey]:
        """The Services that have hints by the zones' processors, where those are now other ones."""
        if node is None:
            self._nodes.pop(name, None)
        else:
            self._nodes[name] = node
        ratios = cpu_ratios(self._nodes.values())
        if ratios == self._ratios:
            return set()
        self._ratios = ratios
        return set(self._by_processors)

    def _changes(self, touched: set[ObjectKey]) -> Changes:
        """What is different in the `touched` Services, and in everything that was set, since the last time."""
        services, removed_services = [], []
        for key in sorted(touched):
            service = self._services.in_force.get(key)
            before = self._reported_services.get(key)
            if service is None:
                self._selectors.remove_service(key)
                if self._reported_services.pop(key, None) is not None:
                    removed_services.append(key)
            elif service != before:
                self._selectors.put_service(service)
                self._reported_services[key] = service
                services.append(service)
            self._make_slices(key, service)
        slices, removed_slices = self._slices.drain()
        pod_weights, self._pod_weights = tuple(self._pod_weights), []
        return Changes(
            services=tuple(services),
            removed_services=tuple(removed_services),
            slices=slices,
            removed_slices=removed_slices,
            pod_weights=pod_weights,
            node=self._changed_node(),
        )

    def _changed_node(self) -> Node | None:
        if self._own_node == self._reported_node:
            return None
        self._reported_node = self._own_node
        return self._own_node

    def _make_slices(self, key: ObjectKey, service: Service | None) -> None:
        self._slices.do_the_work_of(controllers_for(service, key in self._endpoints), key)
        self._by_processors.discard(key)
        if service is not None and service.spec.selector and service.spec.type != "ExternalName":
            if wants_hints(service):
                self._by_processors.add(key)
            pods = self._selectors.pods_of(key)
            slices = pod_slices(service, pods, self._zones, self._node_name, self._ratios)
            self._slices.make(key, slices, self._triggers.observe(service, pods))
            return
        self._triggers.forget(key)
        is_mirrored = service is not None and service.spec.type != "ExternalName" and key in self._endpoints
        self._slices.make(key, mirrored_slices(self._endpoints[key]) if is_mirrored else ())


def _weight(pod: Pod | None) -> int | None:
    return pod_weight(pod.metadata.labels) if pod is not None else None
