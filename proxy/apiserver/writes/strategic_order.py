"""The order of items after a strategic merge: the patch's for its own, the server's for the rest.

Imports this room's JSON equality. The rule is normalizeElementOrder of k8s.io/apimachinery/pkg/util/strategicpatch.
Invariant: items are never lost, invented or changed, only moved.
"""

from collections.abc import Callable
from typing import Any

from proxy.apiserver.writes.json_patch import same_json


def ordered(merged: list[Any], order: list[Any], original: list[Any], key: str) -> list[Any]:
    """`merged` where the items that `order` names follow it, the others keep the order of `original`, and the two
    are interleaved as `original` had them, as far as that goes. Items are told apart by their member `key`, or by value
    where that is empty."""

    def place_in(items: list[Any]) -> Callable[[Any], int]:
        def place(item: Any) -> int:
            return next((index for index, each in enumerate(items) if _same(each, item, key)), -1)

        return place

    in_order, in_original = place_in(order), place_in(original)
    named = sorted((item for item in merged if in_order(item) >= 0), key=in_order)
    rest = sorted((item for item in merged if in_order(item) < 0), key=in_original)
    return _interleaved(rest, named, in_original)


def _interleaved(rest: list[Any], named: list[Any], place: Callable[[Any], int]) -> list[Any]:
    result: list[Any] = []
    waiting = list(reversed(rest))
    for item in named:
        while waiting and 0 <= place(waiting[-1]) < place(item):
            result.append(waiting.pop())
        result.append(item)
    return [*result, *reversed(waiting)]


def _same(one: Any, other: Any, key: str) -> bool:
    if key:
        return same_json(one.get(key), other.get(key))
    return same_json(one, other)
