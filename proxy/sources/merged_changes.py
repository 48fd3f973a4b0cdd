"""Merging: several Changes that happened one after the other as one.

Invariant: applying the result is applying the parts in their order.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from proxy.model.changes import Changes, ObjectKey


class _Keyed(Protocol):
    @property
    def key(self) -> ObjectKey: ...


Item = TypeVar("Item", bound=_Keyed)


def merged_changes(parts: Sequence[Changes]) -> Changes:
    """All differences of the parts. Of several about one object the last counts."""
    services = _last((part.services, part.removed_services) for part in parts)
    slices = _last((part.slices, part.removed_slices) for part in parts)
    weights = {(weight.namespace, weight.name): weight for part in parts for weight in part.pod_weights}
    return Changes(
        services=_put(services),
        removed_services=_removed(services),
        slices=_put(slices),
        removed_slices=_removed(slices),
        pod_weights=tuple(weights.values()),
        node=next((part.node for part in reversed(parts) if part.node is not None), None),
        problems=next((part.problems for part in reversed(parts) if part.problems is not None), None),
        known_state_of=next((part.known_state_of for part in reversed(parts) if part.known_state_of is not None), None),
    )


def _last(parts: Iterable[tuple[tuple[Item, ...], tuple[ObjectKey, ...]]]) -> dict[ObjectKey, Item | None]:
    last: dict[ObjectKey, Item | None] = {}
    for put, removed in parts:
        last.update(dict.fromkeys(removed))
        last.update({item.key: item for item in put})
    return last


def _put(last: Mapping[ObjectKey, Item | None]) -> tuple[Item, ...]:
    return tuple(item for item in last.values() if item is not None)


def _removed(last: Mapping[ObjectKey, Item | None]) -> tuple[ObjectKey, ...]:
    return tuple(key for key, item in last.items() if item is None)
