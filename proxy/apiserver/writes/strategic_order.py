"""The order of items after a strategic merge: the patch's for its own, the server's for the rest.

The rule is normalizeElementOrder of k8s.io/apimachinery/pkg/util/strategicpatch. Invariant: items are never lost,
invented or changed, only moved, and each is looked at a bounded number of times.
"""

from collections.abc import Callable, Hashable
from typing import Any

from proxy.apiserver.writes.json_patch import json_identity


def ordered(merged: list[Any], order: list[Any], original: list[Any], key: str) -> list[Any]:
    """`merged` where the items that `order` names follow it, the others keep the order of `original`, and the two
    are interleaved as `original` had them, as far as that goes. Items are told apart by their member `key`, or by value
    where that is empty."""

    def place_in(items: list[Any]) -> Callable[[Any], int]:
        places: dict[Hashable, int] = {}
        for index, item in enumerate(items):
            places.setdefault(item_identity(item, key), index)
        return lambda item: places.get(item_identity(item, key), -1)

    in_order, in_original = place_in(order), place_in(original)
    named = sorted((item for item in merged if in_order(item) >= 0), key=in_order)
    rest = sorted((item for item in merged if in_order(item) < 0), key=in_original)
    return _interleaved(rest, named, in_original)


def item_identity(item: Any, key: str) -> Hashable:
    """What tells `item` apart from others: its member `key`, or all of it where that is empty."""
    return json_identity(item.get(key) if key else item)


def _interleaved(rest: list[Any], named: list[Any], place: Callable[[Any], int]) -> list[Any]:
    result: list[Any] = []
    waiting = list(reversed(rest))
    for item in named:
        while waiting and 0 <= place(waiting[-1]) < place(item):
            result.append(waiting.pop())
        result.append(item)
    return [*result, *reversed(waiting)]
