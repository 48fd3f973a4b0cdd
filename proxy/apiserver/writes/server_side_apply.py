"""Server-side apply: a client says which fields it wants, and owns just those.

The algorithm is Updater.Apply of sigs.k8s.io/structured-merge-diff, the texts are those of
k8s.io/apimachinery/pkg/util/managedfields (KEP-555). Invariant: applying the same configuration again returns the
object as it is stored, bookkeeping included.
"""

from collections.abc import Iterable
from typing import Any

from proxy.apiserver.document import Document
from proxy.apiserver.kinds import Kind
from proxy.apiserver.schema.schema import record_of, unknown_fields
from proxy.apiserver.schema.schema_types import ListOf, Type
from proxy.apiserver.status import Cause, StatusError, apply_conflict, bad_request
from proxy.apiserver.writes.field_ownership import after_change, compared, is_ownable
from proxy.apiserver.writes.field_paths import (
    FieldSet,
    MissingKeyError,
    Path,
    duplicate_item,
    is_granular,
    item_element,
    keys_of,
    member_type,
    path_text,
    places,
)
from proxy.apiserver.writes.last_applied import handed_over, with_last_applied
from proxy.apiserver.writes.managed_fields import APPLY, UPDATE, Manager, Owners, Ownership, owners_of, with_owners
from proxy.apiserver.writes.refused_patch import untyped_apply


def apply_configuration(
    kind: Kind,
    current: Document | None,
    configuration: Document,
    field_manager: str,
    force: bool,
    now: str,
    subresource: str = "",
) -> Document:
    """`current` (None where there is no object yet) after `field_manager` applied `configuration`.

    `force` takes fields from their owners. `now` is RFC 3339. Raises StatusError: 409 where another manager owns a
    field with another value, 400 for a configuration that cannot be one.
    """
    if configuration.get("metadata", {}) is None:
        # As where it is left out.
        configuration = {name: value for name, value in configuration.items() if name != "metadata"}
    _check(kind, configuration)
    live = current if current is not None else _without_parts(configuration)
    by = Manager.of(field_manager, APPLY, kind.api_version, subresource)
    owners = dict(owners_of(live))
    last = owners[by].fields if by in owners else frozenset()
    try:
        wanted = _wanted(kind, configuration, subresource)
        merged = _merged(record_of(kind), live, configuration)
        kept = _kept(wanted, by, owners)
        merged = _pruned(record_of(kind), merged, last - kept, kept, ())
        comparison = compared(kind, live, merged, subresource)
    except MissingKeyError as error:
        raise bad_request(f"failed to create typed patch object ({_subject(kind, configuration)}): {error}") from error
    if not force:
        _refuse_conflicts(by, owners, comparison.changed - handed_over(kind, live, field_manager))
    result = after_change(owners, by, comparison)
    is_same = by in owners and wanted == last and not comparison.changed and not comparison.gone
    result[by] = Ownership(wanted, owners[by].time if is_same else now, kind.api_version)
    return with_owners(with_last_applied(merged, configuration, field_manager), result)


def _check(kind: Kind, configuration: Document) -> None:
    if configuration.get("metadata", {}).get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    for path in unknown_fields(kind, configuration):
        raise untyped_apply(_subject(kind, configuration), f".{path}: field not declared in schema")


def _without_parts(configuration: Document) -> Document:
    """The object before its first configuration: its identity alone."""
    metadata = configuration.get("metadata", {})
    identity = {name: metadata[name] for name in ("name", "namespace") if name in metadata}
    return {name: configuration[name] for name in ("apiVersion", "kind") if name in configuration} | {
        "metadata": identity
    }


def _wanted(kind: Kind, configuration: Document, subresource: str) -> FieldSet:
    """The fields that the configuration speaks about: its leaves, items of lists, and containers that are empty."""
    duplicate = duplicate_item(record_of(kind), configuration)
    if duplicate is not None:
        text = f"{path_text(duplicate[:-1])}: duplicate entries for key {path_text(duplicate[-1:])}"
        raise untyped_apply(_subject(kind, configuration), text)
    return frozenset(
        place.path
        for place in places(record_of(kind), configuration).values()
        if (place.role != "group" or not place.value) and is_ownable(kind, place.path, subresource)
    )


def _merged(expected: Type, live: Any, configured: Any) -> Any:
    if not is_granular(expected, configured) or not is_granular(expected, live):
        return _without_nulls(configured)
    if isinstance(expected, ListOf):
        return _merged_list(expected, live, configured)
    merged = dict(live)
    for name, member in configured.items():
        if member is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(member_type(expected, name), live.get(name), member)
    return merged


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    return list(map(_without_nulls, value)) if isinstance(value, list) else value


def _merged_list(expected: ListOf, live: list[Any], configured: list[Any]) -> list[Any]:
    """Items that are there keep their place, new ones follow in the order of the configuration."""
    items = {item_element(expected, item): item for item in live}
    for item in configured:
        element = item_element(expected, item)
        items[element] = _merged(expected.items, items.get(element), item)
    return list(items.values())


def _kept(wanted: FieldSet, by: Manager, owners: Owners) -> FieldSet:
    """The places that `by` wants or somebody else has a part in, and the containers around them."""
    others = [ownership.fields for manager, ownership in owners.items() if manager != by]
    return frozenset(path[:length] for path in wanted.union(*others) for length in range(1, len(path) + 1))


def _pruned(expected: Type, value: Any, abandoned: FieldSet, kept: FieldSet, path: Path) -> Any:
    """`value` without the abandoned fields, and without containers that lost their last member that way, unless they
    are `kept`."""
    if not abandoned or not is_granular(expected, value):
        return value
    if isinstance(expected, ListOf):
        return _pruned_list(expected, value, abandoned, kept, path)
    members = {}
    for name, member in value.items():
        member_path = (*path, f"f:{name}")
        if member_path in abandoned:
            continue
        pruned = _pruned(member_type(expected, name), member, abandoned, kept, member_path)
        if pruned or pruned == member or member_path in kept:
            members[name] = pruned
    return members


def _pruned_list(expected: ListOf, items: list[Any], abandoned: FieldSet, kept: FieldSet, path: Path) -> list[Any]:
    remaining = []
    for item in items:
        item_path = (*path, item_element(expected, item))
        if item_path in abandoned:
            continue
        pruned = _pruned(expected.items, item, abandoned, kept, item_path)
        remaining.append({**keys_of(expected, item), **pruned} if expected.keys and pruned != item else pruned)
    return remaining


def _refuse_conflicts(by: Manager, owners: Owners, changed: FieldSet) -> None:
    conflicts = [
        (manager, path)
        for manager in sorted(owners.keys() - {by}, key=_manager_text)
        for path in sorted(owners[manager].fields & changed)
    ]
    if conflicts:
        raise _conflict(conflicts)


def _conflict(conflicts: list[tuple[Manager, Path]]) -> StatusError:
    causes = [
        Cause("FieldManagerConflict", f"conflict with {_manager_text(manager)}", path_text(path))
        for manager, path in conflicts
    ]
    if len(conflicts) == 1:
        text = f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}"
    else:
        text = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(_conflict_lines(conflicts))
    return apply_conflict(text, causes)


def _conflict_lines(conflicts: Iterable[tuple[Manager, Path]]) -> list[str]:
    lines: list[str] = []
    for manager, path in conflicts:
        title = f"conflicts with {_manager_text(manager)}:"
        if title not in lines:
            lines.append(title)
        lines.append(f"- {path_text(path)}")
    return lines


def _manager_text(manager: Manager) -> str:
    text = f'"{manager.name}"'
    if manager.subresource:
        text += f' with subresource "{manager.subresource}"'
    return f"{text} using {manager.api_version}" if manager.operation == UPDATE else text


def _subject(kind: Kind, configuration: Document) -> str:
    metadata = configuration.get("metadata", {})
    name = "/".join(filter(None, (metadata.get("namespace"), metadata.get("name"))))
    return f"{name}; {kind.api_version}, Kind={kind.kind}"
