"""How ownership of fields moves when an object changes.

The rules are Updater.update of sigs.k8s.io/structured-merge-diff: who changes a
field takes it from everybody else, and a field that is gone is nobody's.
Invariant: an unchanged object leaves ownership as it was.
"""

import msgspec

from proxy.apiserver.document import Document
from proxy.apiserver.kinds import Kind
from proxy.apiserver.schema.schema import record_of
from proxy.apiserver.writes.field_paths import FieldSet, MissingKeyError, Path, Place, places
from proxy.apiserver.writes.json_patch import same_json
from proxy.apiserver.writes.managed_fields import Manager, Owners, Ownership, owners_of, with_owners

_IDENTITY = ("name", "namespace", "uid", "selfLink", "creationTimestamp", "deletionTimestamp")
_BOOKKEEPING = ("deletionGracePeriodSeconds", "generation", "managedFields", "resourceVersion")
_UNOWNED: FieldSet = frozenset(
    {(), ("f:apiVersion",), ("f:kind",), ("f:metadata",), ("f:spec",), ("f:status",)}
    | {("f:metadata", f"f:{name}") for name in (*_IDENTITY, *_BOOKKEEPING)}
)


class Comparison(msgspec.Struct, frozen=True):
    """What became of each field: paths that are `new` or have another value, and paths that are `gone`."""

    changed: FieldSet
    gone: FieldSet


def compared(kind: Kind, old: Document, new: Document, subresource: str = "") -> Comparison:
    """How `new` differs from `old`. Raises MissingKeyError."""
    before, after = places(record_of(kind), old), places(record_of(kind), new)
    changed = {path for path, place in after.items() if path not in before or _differs(before[path], place)}
    return Comparison(
        changed=frozenset(path for path in changed if is_ownable(kind, path, subresource)),
        gone=frozenset(path for path in before.keys() - after.keys() if is_ownable(kind, path, subresource)),
    )


def is_ownable(kind: Kind, path: Path, subresource: str = "") -> bool:
    """Whether anybody can own `path`: not what identifies the object, and the status only through its subresource."""
    if path in _UNOWNED:
        return False
    belongs_to_status = path[0] == "f:status" and kind.has_status
    return belongs_to_status if subresource == "status" and path[0] != "f:metadata" else not belongs_to_status


def after_change(owners: Owners, by: Manager, comparison: Comparison) -> dict[Manager, Ownership]:
    """The owners after `by` made the change, without what `by` itself gains: that is for the caller to say."""
    result = {}
    lost_by_others = comparison.changed | comparison.gone
    for manager, ownership in owners.items():
        lost = comparison.gone if manager == by else lost_by_others
        remaining = ownership.fields - lost
        if remaining:
            result[manager] = msgspec.structs.replace(ownership, fields=remaining)
    return result


def managed_after_update(
    kind: Kind,
    old: Document | None,
    new: Document,
    field_manager: str,
    operation: str,
    now: str,
    subresource: str = "",
) -> Document:
    """`new` with the managedFields that result from `field_manager` creating it (no `old`) or changing it.

    To be called with the defaults filled in and before addresses and ports are allocated, which are nobody's. `now` is
    RFC 3339. Ownership stays as it was where items of a list cannot be told apart, as in the API server.
    """
    empty: Document = {"metadata": {}}
    try:
        comparison = compared(kind, old or empty, new, subresource)
    except MissingKeyError:
        return with_owners(new, owners_of(old or empty))
    by = Manager.of(field_manager, operation, kind.api_version, subresource)
    owners = after_change(_owners_before(old or empty, new), by, comparison)
    if comparison.changed:
        known = owners[by].fields if by in owners else frozenset()
        owners[by] = Ownership(known | comparison.changed, now, kind.api_version)
    return with_owners(new, owners)


def _owners_before(old: Document, new: Document) -> Owners:
    """As the client sent them, so that a client may hand them on (kubectl does); else as they are stored."""
    if not new.get("metadata", {}).get("managedFields"):
        return owners_of(old)
    try:
        return owners_of(new)
    except ValueError:
        return owners_of(old)


def _differs(before: Place, after: Place) -> bool:
    if before.role == after.role == "leaf":
        return not same_json(before.value, after.value)
    return (before.role == "leaf") != (after.role == "leaf")
