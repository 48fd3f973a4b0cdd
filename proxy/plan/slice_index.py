"""Slice index: EndpointSlices by the Service they belong to.

Invariant: a slice is found under the Service that its latest version names, and under no other; a Service without
slices takes no room.
"""

from collections.abc import Iterable

from proxy.model.changes import ObjectKey
from proxy.model.endpoint_slice import EndpointSlice


class SliceIndex:
    """All slices, whether their Service is known yet or not."""

    def __init__(self) -> None:
        self._slices: dict[ObjectKey, EndpointSlice] = {}
        self._by_service: dict[ObjectKey, dict[ObjectKey, EndpointSlice]] = {}

    def put(self, endpoint_slice: EndpointSlice) -> set[ObjectKey]:
        """Add or replace a slice; returns the Services that this touches, none for an equal slice."""
        if self._slices.get(endpoint_slice.key) == endpoint_slice:
            return set()
        touched = self.remove(endpoint_slice.key)
        self._slices[endpoint_slice.key] = endpoint_slice
        if endpoint_slice.service is not None:
            self._by_service.setdefault(endpoint_slice.service, {})[endpoint_slice.key] = endpoint_slice
            touched.add(endpoint_slice.service)
        return touched

    def remove(self, key: ObjectKey) -> set[ObjectKey]:
        """Forget a slice; returns the Services that this touches, none for an unknown slice."""
        known = self._slices.pop(key, None)
        if known is None or known.service is None:
            return set()
        siblings = self._by_service[known.service]
        del siblings[key]
        if not siblings:
            del self._by_service[known.service]
        return {known.service}

    def of(self, service: ObjectKey) -> Iterable[EndpointSlice]:
        """The slices of one Service, in no particular order."""
        return self._by_service.get(service, {}).values()
