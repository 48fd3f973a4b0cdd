"""Field paths: where in an object a field is, and sets of such places.

The notation and its meaning are those of sigs.k8s.io/structured-merge-diff: an element is `f:NAME`, `k:{"KEY":VALUE}`
for an item of a keyed list, or `v:VALUE` for an item of a set. Invariant: one place has one path, whatever the order of
members and items.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from proxy.apiserver.document import Document
from proxy.apiserver.schema.schema_types import ListOf, MapOf, Record, Scalar, Type

Path = tuple[str, ...]
FieldSet = frozenset[Path]
ANY = Scalar("any")


class MissingKeyError(ValueError):
    """An item of a keyed list lacks the member that tells it apart."""


class Place(NamedTuple):
    """A value and where it is. `role`: a `leaf` is owned as a whole, an `item` is one of a keyed list, a `group` is any
    other container."""

    path: Path
    role: Literal["leaf", "item", "group"]
    value: Any


def places(record: Record, document: Document) -> dict[Path, Place]:
    """Every place in `document`, an object of type `record`. What the schema does not know has none, as it is not
    stored. Raises MissingKeyError."""
    return {place.path: place for place in _places(record, document, (), "group")}


def duplicate_item(record: Record, document: Document) -> Path | None:
    """The first item of a keyed list or a set that is there twice, or None. Raises MissingKeyError."""
    seen = set()
    for place in _places(record, document, (), "group"):
        if place.path in seen:
            return place.path
        if place.path[-1:] and place.path[-1][0] in "kv":
            seen.add(place.path)
    return None


def member_type(expected: Type, name: str) -> Type:
    """The type of member `name`; of members that the schema does not know, any."""
    if isinstance(expected, Record) and name in expected.fields:
        return expected.fields[name].type
    return expected.values if isinstance(expected, MapOf) else ANY


def is_granular(expected: Type, value: object) -> bool:
    """Whether the parts of `value` are owned one by one."""
    if isinstance(expected, ListOf):
        return isinstance(value, list) and not expected.is_atomic
    return isinstance(expected, (MapOf, Record)) and isinstance(value, dict) and not expected.is_atomic


def item_element(expected: ListOf, item: Any) -> str:
    """The element of the path that leads to `item` of a keyed list or a set. Raises MissingKeyError."""
    if not expected.keys:
        return f"v:{_compact(item)}"
    return f"k:{_compact(keys_of(expected, item))}"


def keys_of(expected: ListOf, item: Any) -> dict[str, Any]:
    """The members that tell `item` apart, by name and with their defaults. Raises MissingKeyError."""
    fields = expected.items.fields if isinstance(expected.items, Record) else {}
    keys = {}
    for key in sorted(expected.keys):
        value = item.get(key) if isinstance(item, dict) else None
        value = fields[key].default if value is None else value
        if value is None:
            detail = f'associative list with keys has an element that omits key field "{key}"'
            raise MissingKeyError(f"{detail} (and doesn't have default value)")
        keys[key] = value
    return keys


def path_text(path: Path) -> str:
    """`.spec.ports[port=80,protocol="TCP"].nodePort`."""
    return "".join(map(_element_text, path))


def fields_tree(paths: Iterable[Path]) -> Document:
    """The set as FieldsV1 of meta/v1: a member with members below it holds `.` too."""
    tree: Document = {}
    for path in sorted(paths):
        branch = tree
        for element in path:
            branch = branch.setdefault(element, {})
        branch["."] = {}
    return _without_lone_dots(tree)


def paths_of_tree(tree: Mapping[str, Any]) -> FieldSet:
    """The set that FieldsV1 holds; what is not a map of maps raises ValueError."""
    return frozenset(_paths(tree, ()))


def _places(expected: Type, value: Any, path: Path, role: Literal["item", "group"]) -> Iterator[Place]:
    if not is_granular(expected, value):
        yield Place(path, "leaf", value)
        return
    yield Place(path, role, value)
    if isinstance(expected, ListOf):
        for item in value:
            yield from _places(expected.items, item, (*path, item_element(expected, item)), "item")
    else:
        known = expected.fields if isinstance(expected, Record) else value
        for name, member in value.items():
            if name in known:
                yield from _places(member_type(expected, name), member, (*path, f"f:{name}"), "group")


def _paths(tree: object, path: Path) -> Iterator[Path]:
    if not isinstance(tree, Mapping):
        raise ValueError("fieldsV1 is not a tree of maps")
    if path and not tree:
        yield path
    for element, branch in tree.items():
        if element == ".":
            yield path
        else:
            yield from _paths(branch, (*path, element))


def _without_lone_dots(tree: Document) -> Document:
    if tree.keys() == {"."}:
        return {}
    return {element: _without_lone_dots(branch) for element, branch in tree.items()}


def _element_text(element: str) -> str:
    kind, _, rest = element.partition(":")
    if kind == "k":
        keys = json.loads(rest)
        return f"[{','.join(f'{name}={_compact(keys[name])}' for name in sorted(keys))}]"
    return f".{rest}" if kind == "f" else f"[={rest}]"


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
