"""Which Pods a Service selects, and which Services select a Pod, found through labels.

Invariant: the answers are those of comparing every selector of a namespace with every Pod in it; a Service without a
selector, or of type ExternalName, selects nothing.
"""

from collections import defaultdict
from collections.abc import Mapping

from proxy.model.changes import ObjectKey
from proxy.model.pod import Pod
from proxy.model.service import Service

_Label = tuple[str, str, str]
"""(namespace, label, value)."""


class SelectorIndex:
    """Pods under each of their labels, Services under one label of their selectors."""

    def __init__(self) -> None:
        self._pods: dict[ObjectKey, Pod] = {}
        self._selectors: dict[ObjectKey, tuple[Mapping[str, str], _Label]] = {}
        self._pods_by_label: dict[_Label, set[ObjectKey]] = defaultdict(set)
        self._services_by_label: dict[_Label, set[ObjectKey]] = defaultdict(set)

    @property
    def pods(self) -> Mapping[ObjectKey, Pod]:
        return self._pods

    def put_pod(self, pod: Pod) -> None:
        """Add `pod`, or replace its last version."""
        self.remove_pod(pod.key)
        self._pods[pod.key] = pod
        for label in _labels(pod.metadata.namespace, pod.metadata.labels):
            self._pods_by_label[label].add(pod.key)

    def remove_pod(self, key: ObjectKey) -> None:
        """Remove a Pod; one that is not here stays away."""
        pod = self._pods.pop(key, None)
        if pod is not None:
            for label in _labels(pod.metadata.namespace, pod.metadata.labels):
                _discard(self._pods_by_label, label, key)

    def put_service(self, service: Service) -> None:
        """Add `service`, or replace its last version."""
        self.remove_service(service.key)
        selector = service.spec.selector
        if selector and service.spec.type != "ExternalName":
            # A label that few Services share keeps the candidates of a Pod few.
            labels = _labels(service.metadata.namespace, selector)
            label = min(labels, key=lambda label: len(self._services_by_label.get(label, ())))
            self._selectors[service.key] = (selector, label)
            self._services_by_label[label].add(service.key)

    def remove_service(self, key: ObjectKey) -> None:
        """Remove a Service; one that is not here stays away."""
        entry = self._selectors.pop(key, None)
        if entry is not None:
            _discard(self._services_by_label, entry[1], key)

    def pods_of(self, key: ObjectKey) -> list[Pod]:
        """The Pods that the Service selects, in no particular order."""
        entry = self._selectors.get(key)
        if entry is None:
            return []
        selector = entry[0]
        candidates = min((self._pods_by_label.get(label, set()) for label in _labels(key[0], selector)), key=len)
        return [pod for pod in map(self._pods.__getitem__, candidates) if _matches(selector, pod)]

    def services_of(self, key: ObjectKey) -> set[ObjectKey]:
        """The Services that select the Pod."""
        pod = self._pods.get(key)
        if pod is None:
            return set()
        return {
            service
            for label in _labels(pod.metadata.namespace, pod.metadata.labels)
            for service in self._services_by_label.get(label, ())
            if _matches(self._selectors[service][0], pod)
        }


def _labels(namespace: str, labels: Mapping[str, str]) -> list[_Label]:
    return [(namespace, name, value) for name, value in labels.items()]


def _matches(selector: Mapping[str, str], pod: Pod) -> bool:
    return selector.items() <= pod.metadata.labels.items()


def _discard(index: dict[_Label, set[ObjectKey]], label: _Label, key: ObjectKey) -> None:
    index[label].discard(key)
    if not index[label]:
        del index[label]
