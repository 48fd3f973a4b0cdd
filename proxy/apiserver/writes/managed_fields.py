"""managedFields: who owns which fields of an object.

The entries are those of meta/v1 ManagedFieldsEntry, in the API server's order
(k8s.io/apimachinery/pkg/util/managedfields). Invariant: no entry without fields, at most one for a Manager.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from proxy.apiserver.document import Document
from proxy.apiserver.writes.field_paths import FieldSet, fields_tree, paths_of_tree

APPLY = "Apply"
UPDATE = "Update"


class Manager(msgspec.Struct, frozen=True):
    """Who owns fields, and how they were set. `api_version` is empty in an applier, who stays the same through
    versions."""

    name: str
    operation: str
    api_version: str = ""
    subresource: str = ""

    @classmethod
    def of(cls, name: str, operation: str, api_version: str, subresource: str = "") -> "Manager":
        return cls(name, operation, "" if operation == APPLY else api_version, subresource)


class Ownership(msgspec.Struct, frozen=True):
    """The fields that a manager owns, and when that or one of them last changed (RFC 3339)."""

    fields: FieldSet
    time: str
    api_version: str


Owners = Mapping[Manager, Ownership]


def owners_of(document: Document) -> Owners:
    """What `metadata.managedFields` says; raises ValueError for what is no such list."""
    entries = document.get("metadata", {}).get("managedFields") or []
    owners = {}
    for entry in entries if entries != [{}] else []:
        if not isinstance(entry, dict) or entry.get("operation") not in (APPLY, UPDATE):
            raise ValueError("a managedFields entry has neither Apply nor Update for its operation")
        api_version = str(entry.get("apiVersion", ""))
        manager = Manager.of(
            str(entry.get("manager", "")), entry["operation"], api_version, str(entry.get("subresource", ""))
        )
        fields = paths_of_tree(entry.get("fieldsV1") or {})
        owners[manager] = Ownership(fields, str(entry.get("time", "")), api_version)
    return owners


def with_owners(document: Document, owners: Owners) -> Document:
    """`document` with `owners` as its managedFields."""
    metadata = {name: value for name, value in document.get("metadata", {}).items() if name != "managedFields"}
    entries = [_entry(manager, ownership) for manager, ownership in owners.items() if ownership.fields]
    if entries:
        metadata["managedFields"] = sorted(entries, key=_position)
    return {**document, "metadata": metadata}


def _entry(manager: Manager, ownership: Ownership) -> Document:
    entry = {
        "apiVersion": ownership.api_version,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields_tree(ownership.fields),
        "manager": manager.name,
        "operation": manager.operation,
        "time": ownership.time,
    }
    return {**entry, "subresource": manager.subresource} if manager.subresource else entry


def _position(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return entry["operation"], entry["time"], entry["manager"], entry["apiVersion"], entry.get("subresource", "")
