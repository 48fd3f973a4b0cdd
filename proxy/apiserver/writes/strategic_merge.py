"""Strategic merge patch: a merge patch that knows which lists are maps in disguise.

The algorithm, directives and errors are those of k8s.io/apimachinery/pkg/util/strategicpatch.
Known upstream trap, kept: Service ports merge by `port` alone, so 53/TCP and 53/UDP are one item to it, except where
the object has no ports yet. Invariant: the documents given are never changed, and the work is in proportion to them.
"""

from collections.abc import Hashable
from typing import Any

from proxy.apiserver.document import Document
from proxy.apiserver.schema.schema_types import ListOf, MapOf, Record, Scalar, Type
from proxy.apiserver.status import StatusError, bad_request
from proxy.apiserver.writes.json_patch import json_identity
from proxy.apiserver.writes.refused_patch import missing_merge_key
from proxy.apiserver.writes.strategic_order import item_identity, ordered

_DIRECTIVE = "$patch"
_RETAIN_KEYS = "$retainKeys"
_SET_ORDER = "$setElementOrder/"
_DELETE_FROM = "$deleteFromPrimitiveList/"
_ANY = Scalar("any")


def apply_strategic_merge(record: Record, document: Document, patch: Document) -> Document:
    """`document`, an object of type `record`, with `patch` merged in. Raises StatusError 400 for a wrong directive."""
    return _merged_map(record, document, patch)


def _merged_map(expected: Type, original: Document, patch: Document) -> Document:
    if _DIRECTIVE in patch:
        return _directed_map(patch)
    patch = dict(patch)
    merged = _with_retained_keys(original, patch)
    orders = {key: patch.pop(key) for key in list(patch) if key.startswith(_SET_ORDER)}
    deletions = {key: patch.pop(key) for key in list(patch) if key.startswith(_DELETE_FROM)}
    for name, value in patch.items():
        _merge_member(_member_type(expected, name), merged, name, value)
    for key, values in deletions.items():
        _delete_from_list(merged, key.removeprefix(_DELETE_FROM), values)
    for key, order in orders.items():
        name = key.removeprefix(_SET_ORDER)
        _order_list(_member_type(expected, name), merged, original.get(name), patch.get(name), name, order)
    return merged


def _directed_map(patch: Document) -> Document:
    directive = patch[_DIRECTIVE]
    if directive == "replace":
        return {name: without_directives(value) for name, value in patch.items() if name != _DIRECTIVE}
    if directive == "delete":
        return {}
    raise _bad_directive(directive, patch)


def _with_retained_keys(original: Document, patch: Document) -> Document:
    if _RETAIN_KEYS not in patch:
        return dict(original)
    retained = patch.pop(_RETAIN_KEYS)
    if not isinstance(retained, list):
        raise bad_request("invalid patch format of retainKeys")
    present = {key for key, value in patch.items() if value is not None and not _is_directive(key)}
    if not present <= set(map(str, retained)):
        raise bad_request("patch content doesn't match retainKeys list")
    return {key: value for key, value in original.items() if key in retained}


def _member_type(expected: Type, name: str) -> Type:
    if isinstance(expected, Record) and name in expected.fields:
        return expected.fields[name].type
    return expected.values if isinstance(expected, MapOf) else _ANY


def _merge_member(expected: Type, merged: Document, name: str, value: Any) -> None:
    if value is None:
        merged.pop(name, None)
        return
    current = merged.get(name)
    if isinstance(value, dict):
        merged[name] = _merged_map(expected, current, value) if isinstance(current, dict) else without_directives(value)
    elif isinstance(value, list) and isinstance(expected, ListOf) and expected.merges and isinstance(current, list):
        merged[name] = _merged_list(expected, current, value)
    else:
        merged[name] = without_directives(value)


def _merged_list(expected: ListOf, original: list[Any], patch: list[Any]) -> list[Any]:
    if not expected.merge_key:
        merged = _without_duplicates([*original, *patch])
        return ordered(merged, patch, original, "")
    key = expected.merge_key
    items, kept, replaces = _directed_items(key, original, patch)
    if replaces:
        return [without_directives(item) for item in items]
    merged = list(kept)
    places: dict[Hashable, int] = {}
    for index, each in enumerate(merged):
        places.setdefault(item_identity(each, key), index)
    for item in items:
        place = places.setdefault(item_identity(item, key), len(merged))
        if place == len(merged):
            merged.append(without_directives(item))
        else:
            merged[place] = _merged_map(expected.items, merged[place], item)
    return ordered(merged, items, original, key)


def _directed_items(key: str, original: list[Any], patch: list[Any]) -> tuple[list[Any], list[Any], bool]:
    """(items of the patch that are no directives, items of the original that stay, whether the patch replaces all)."""
    items, deleted, replaces = [], set(), False
    for item in patch:
        if not isinstance(item, dict):
            raise bad_request(f"invalid patch: an item of a list merged by {key} is not a map")
        directive = item.get(_DIRECTIVE)
        if directive == "replace":
            replaces = True
            items += [item] if len(item) > 1 and key in item else []
        elif key not in item:
            raise missing_merge_key(item, key)
        elif directive == "delete":
            deleted.add(item_identity(item, key))
        elif directive is None:
            items.append(item)
        else:
            raise _bad_directive(directive, item)
    kept = [each for each in original if isinstance(each, dict) and item_identity(each, key) not in deleted]
    return items, kept, replaces


def _delete_from_list(merged: Document, name: str, values: object) -> None:
    if not isinstance(values, list):
        raise bad_request("invalid patch format of primitive list")
    current = merged.get(name)
    if isinstance(current, list):
        deleted = set(map(json_identity, values))
        merged[name] = [each for each in current if json_identity(each) not in deleted]


def _order_list(expected: Type, merged: Document, original: object, patched: object, name: str, order: object) -> None:
    if not isinstance(order, list) or not isinstance(expected, ListOf) or not expected.merges:
        raise bad_request("invalid patch format of setElementOrder list")
    key = expected.merge_key
    if key and not all(isinstance(each, dict) and key in each for each in order):
        raise bad_request("invalid patch format of setElementOrder list")
    merges = isinstance(patched, list) and not any(isinstance(each, dict) and _DIRECTIVE in each for each in patched)
    if merges and not _all_ordered(patched, order, key):
        raise bad_request(f"The order in patch list:\n{patched}\n doesn't match $setElementOrder list:\n{order}\n")
    current = merged.get(name)
    if isinstance(current, list):
        merged[name] = ordered(current, order, original if isinstance(original, list) else [], key)


def _all_ordered(patched: Any, order: list[Any], key: str) -> bool:
    known = {item_identity(each, key) for each in order}
    return all(item_identity(item, key) in known for item in patched)


def without_directives(value: Any) -> Any:
    """`value` as it is stored where there was nothing to merge with: without directives and without nulls."""
    if isinstance(value, dict):
        kept = {key: each for key, each in value.items() if each is not None and not _is_directive(key)}
        return {key: without_directives(each) for key, each in kept.items()}
    if isinstance(value, list):
        plain = [each for each in value if not (isinstance(each, dict) and each.get(_DIRECTIVE) == "delete")]
        return [without_directives(each) for each in plain]
    return value


def _is_directive(key: str) -> bool:
    return key in (_DIRECTIVE, _RETAIN_KEYS) or key.startswith((_SET_ORDER, _DELETE_FROM))


def _without_duplicates(values: list[Any]) -> list[Any]:
    unique: dict[Hashable, Any] = {}
    for value in values:
        unique.setdefault(json_identity(value), value)
    return list(unique.values())


def _bad_directive(directive: object, patch: object) -> StatusError:
    return bad_request(f"unknown patch type [{directive}] in map: {patch}")
