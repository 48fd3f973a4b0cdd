"""Cluster view: everything that is followed of one cluster, as one stream of changes.

No socket, no clock. Invariant: the sum of all that `drain` gave is what the stores hold.
"""

from collections.abc import Iterable
from random import Random
from typing import Any, TypeVar

from proxy.model.changes import Changes, ObjectKey, PodWeight
from proxy.model.endpoint_slice import EndpointSlice
from proxy.model.node import Node, deleted_node
from proxy.model.problem import Problem
from proxy.model.service import Service
from proxy.sources.kubernetes_api.known_state import KnownObjects
from proxy.sources.kubernetes_api.list_watch import ListWatch
from proxy.sources.kubernetes_api.object_store import Observed
from proxy.sources.kubernetes_api.resource import Scope, endpoint_slices, own_node, pod_weights, services
from proxy.sources.kubernetes_api.timing import Timing

T = TypeVar("T")


class ClusterView:
    """The list-watches of a scope; `list_watches` are to be driven.

    A Role of one namespace gives no right to Nodes: with a namespace in the scope, the own Node is not followed.
    """

    def __init__(self, scope: Scope, timing: Timing, random: Random) -> None:
        self._services: ListWatch[Service] = ListWatch(services(scope), timing, random)
        self._slices: ListWatch[EndpointSlice] = ListWatch(endpoint_slices(scope), timing, random)
        self._weights: ListWatch[PodWeight] = ListWatch(pod_weights(scope), timing, random)
        self._node: ListWatch[Node] = ListWatch(own_node(scope), timing, random)
        self.list_watches: tuple[ListWatch[Any], ...] = (self._services, self._slices, self._weights)
        if not scope.namespace:
            self.list_watches += (self._node,)

    @property
    def synced(self) -> bool:
        """Whether complete lists of Services and EndpointSlices were taken."""
        return self._services.synced and self._slices.synced

    @property
    def hindered(self) -> bool:
        """Whether something stands in the way of those lists."""
        return bool(self._services.fault or self._slices.fault)

    @property
    def faults(self) -> tuple[str, ...]:
        """Why the API server is not followed in full, in words; empty if it is."""
        return tuple(dict.fromkeys(each.fault for each in self.list_watches if each.fault))

    @property
    def notices(self) -> tuple[str, ...]:
        """What the API server said of how it is followed, though it is."""
        return tuple(dict.fromkeys(each.notice for each in self.list_watches if each.notice))

    @property
    def object_problems(self) -> tuple[Problem, ...]:
        """What is wrong with single objects, sorted."""
        found = [problem for each in self.list_watches for problem in each.store.problems]
        return tuple(sorted(found, key=str))

    def restore(self, known: KnownObjects) -> None:
        """Begin with what was known; the first lists replace it."""
        self._services.store.replace(_observed((each.key, each) for each in known.services))
        self._slices.store.replace(_observed((each.key, each) for each in known.slices))
        self._weights.store.replace(_observed(((each.namespace, each.name), each) for each in known.pod_weights))
        self._node.store.replace(_observed((("", each.metadata.name), each) for each in known.nodes))

    def known(self) -> KnownObjects:
        """Every object at this moment."""
        return KnownObjects(
            services=tuple(self._services.store.items),
            slices=tuple(self._slices.store.items),
            pod_weights=tuple(self._weights.store.items),
            nodes=tuple(self._node.store.items),
        )

    def drain(self) -> Changes:
        """What changed since the last call."""
        services, slices = self._services.store.drain(), self._slices.store.drain()
        nodes = [node or deleted_node(name) for (_, name), node in self._node.store.drain().items()]
        return Changes(
            services=_present(services),
            removed_services=_absent(services),
            slices=_present(slices),
            removed_slices=_absent(slices),
            pod_weights=tuple(
                weight or PodWeight(*key, weight=None) for key, weight in self._weights.store.drain().items()
            ),
            node=nodes[-1] if nodes else None,
        )


def _observed(items: Iterable[tuple[ObjectKey, T]]) -> dict[ObjectKey, Observed[T]]:
    return {key: Observed(key, "", item) for key, item in items}


def _present(changed: dict[ObjectKey, T | None]) -> tuple[T, ...]:
    return tuple(item for item in changed.values() if item is not None)


def _absent(changed: dict[ObjectKey, T | None]) -> tuple[ObjectKey, ...]:
    return tuple(key for key, item in changed.items() if item is None)
