"""The EndpointSlices in force: those that were given and those that were made.

Invariants: where a given and a made slice have one name, the given one counts. A given slice that a controller of
another cluster made is left out where that controller's work is done here. `drain` reports every real difference since
the last time exactly once; when a slice was triggered is no difference.
"""

from collections.abc import Iterable, Set

from msgspec.structs import replace

from proxy.cluster.mirrored_slices import CONTROLLER as MIRRORING_CONTROLLER
from proxy.model.changes import ObjectKey
from proxy.model.endpoint_slice import CONTROLLER, LAST_CHANGE_TRIGGER_TIME, MANAGED_BY_LABEL, EndpointSlice
from proxy.model.service import Service

_CONTROLLERS = frozenset((CONTROLLER, MIRRORING_CONTROLLER))


class SliceStore:
    """Slices by key, and which of them changed."""

    def __init__(self) -> None:
        self._given: dict[ObjectKey, EndpointSlice] = {}
        self._of_controllers: dict[ObjectKey, set[ObjectKey]] = {}
        """By Service: the given slices that a controller made, such as those of an exported cluster."""
        self._done_here: dict[ObjectKey, Set[str]] = {}
        """By Service: the controllers whose work is done here."""
        self._made: dict[ObjectKey, EndpointSlice] = {}
        self._made_for: dict[ObjectKey, frozenset[ObjectKey]] = {}
        self._reported: dict[ObjectKey, EndpointSlice] = {}
        self._touched: set[ObjectKey] = set()

    def give(self, key: ObjectKey, endpoint_slice: EndpointSlice | None) -> None:
        """Set or, with None, remove the given slice under `key`."""
        self._touched.add(key)
        before = self._given.pop(key, None)
        if before is not None and before.service in self._of_controllers:
            self._of_controllers[before.service].discard(key)
        if endpoint_slice is None:
            return
        self._given[key] = endpoint_slice
        if made_by_controller(endpoint_slice) and endpoint_slice.service is not None:
            self._of_controllers.setdefault(endpoint_slice.service, set()).add(key)

    def do_the_work_of(self, controllers: Set[str], service: ObjectKey) -> None:
        """Leave out the given slices of `service` that one of `controllers` made."""
        if controllers == self._done_here.get(service, frozenset()):
            return
        self._done_here.pop(service, None)
        if controllers:
            self._done_here[service] = controllers
        self._touched |= self._of_controllers.get(service, set())

    @property
    def left_out(self) -> tuple[ObjectKey, ...]:
        """The given slices that do not count, sorted."""
        keys = (key for keys in self._of_controllers.values() for key in keys)
        return tuple(sorted(key for key in keys if self._counted(key) is None))

    def _counted(self, key: ObjectKey) -> EndpointSlice | None:
        """The given slice under `key`, if there is one that counts."""
        given = self._given.get(key)
        if given is None or given.service is None:
            return given
        return None if given.metadata.labels.get(MANAGED_BY_LABEL) in self._done_here.get(given.service, ()) else given

    def make(self, service: ObjectKey, slices: Iterable[EndpointSlice], triggered: str = "") -> None:
        """Replace the slices that were made for `service`. Those that are others than before say when that was
        `triggered`, unless it is empty."""
        made = {each.key: self._stamped(each, triggered) for each in slices}
        before = self._made_for.pop(service, frozenset())
        for key in before - made.keys():
            del self._made[key]
        self._made.update(made)
        if made:
            self._made_for[service] = frozenset(made)
        self._touched |= before | made.keys()

    def _stamped(self, made: EndpointSlice, triggered: str) -> EndpointSlice:
        before = self._made.get(made.key)
        stamp = before.metadata.annotations.get(LAST_CHANGE_TRIGGER_TIME, "") if before is not None else ""
        if before is not None and _annotated(made, stamp) == before:
            return before
        return _annotated(made, triggered)

    def drain(self) -> tuple[tuple[EndpointSlice, ...], tuple[ObjectKey, ...]]:
        """(new and changed slices, removed keys) since the last time, both sorted by key."""
        changed, removed = [], []
        for key in sorted(self._touched):
            now = self._counted(key) or self._made.get(key)
            before = self._reported.get(key)
            if now is None and before is not None:
                removed.append(key)
                del self._reported[key]
            elif now is not None and now != before:
                changed.append(now)
                self._reported[key] = now
        self._touched.clear()
        return tuple(changed), tuple(removed)


def made_by_controller(endpoint_slice: EndpointSlice) -> bool:
    """Whether a controller of a Kubernetes cluster made it, and not a person."""
    return endpoint_slice.metadata.labels.get(MANAGED_BY_LABEL) in _CONTROLLERS


def controllers_for(service: Service | None, has_endpoints: bool) -> Set[str]:
    """The controllers whose work on `service` is done here; `has_endpoints` says whether it has an Endpoints object."""
    if service is None or service.spec.type == "ExternalName":
        return frozenset()
    if service.spec.selector:
        return _CONTROLLERS
    return frozenset((MIRRORING_CONTROLLER,)) if has_endpoints else frozenset()


def _annotated(made: EndpointSlice, triggered: str) -> EndpointSlice:
    if not triggered:
        return made
    annotations = {**made.metadata.annotations, LAST_CHANGE_TRIGGER_TIME: triggered}
    return replace(made, metadata=replace(made.metadata, annotations=annotations))
