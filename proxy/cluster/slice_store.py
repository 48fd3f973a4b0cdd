"""The EndpointSlices in force: those that were given and those that were made.

Invariants: where a given and a made slice have one name, the given one counts; `drain` reports
every real difference since the last time exactly once; when a slice was triggered is no difference.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from proxy.model.changes import ObjectKey
from proxy.model.endpoint_slice import LAST_CHANGE_TRIGGER_TIME, EndpointSlice


class SliceStore:
    """Slices by key, and which of them changed."""

    def __init__(self) -> None:
        self._given: dict[ObjectKey, EndpointSlice] = {}
        self._made: dict[ObjectKey, EndpointSlice] = {}
        self._made_for: dict[ObjectKey, frozenset[ObjectKey]] = {}
        self._reported: dict[ObjectKey, EndpointSlice] = {}
        self._touched: set[ObjectKey] = set()

    def give(self, key: ObjectKey, endpoint_slice: EndpointSlice | None) -> None:
        """Set or, with None, remove the given slice under `key`."""
        self._touched.add(key)
        if endpoint_slice is None:
            self._given.pop(key, None)
        else:
            self._given[key] = endpoint_slice

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
            now = self._given.get(key) or self._made.get(key)
            before = self._reported.get(key)
            if now is None and before is not None:
                removed.append(key)
                del self._reported[key]
            elif now is not None and now != before:
                changed.append(now)
                self._reported[key] = now
        self._touched.clear()
        return tuple(changed), tuple(removed)


def _annotated(made: EndpointSlice, triggered: str) -> EndpointSlice:
    if not triggered:
        return made
    annotations = {**made.metadata.annotations, LAST_CHANGE_TRIGGER_TIME: triggered}
    return replace(made, metadata=replace(made.metadata, annotations=annotations))
