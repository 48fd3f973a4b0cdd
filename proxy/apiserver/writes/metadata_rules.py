"""Metadata rules: what the API server asks of any kind's metadata beyond names and labels. Pure.

They are ValidateObjectMeta and ValidateObjectMetaUpdate of k8s.io/apimachinery/pkg/api/validation, with the finalizers'
of k8s.io/kubernetes/pkg/apis/core/validation. Invariant: the API server's order and words.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from proxy.apiserver.document import Document, metadata_of
from proxy.model.field_errors import forbidden, invalid
from proxy.model.names import qualified_name_messages
from proxy.model.problem import FieldError

MOST_ANNOTATION_BYTES = 256 * 1024
_STANDARD_FINALIZERS = ("foregroundDeletion", "kubernetes", "orphan")
_IMMUTABLE = ("uid", "deletionTimestamp", "deletionGracePeriodSeconds")


def generated_name_errors(document: Document, name_messages: Callable[[str], list[str]]) -> Iterator[FieldError]:
    """Errors of generateName, by the rule of the kind's names; a dash at its end will not be the name's."""
    prefix = metadata_of(document).get("generateName") or ""
    masked = f"{prefix[:-2]}a" if len(prefix) > 1 and prefix.endswith("-") else prefix
    for message in name_messages(masked) if prefix else ():
        yield invalid("metadata.generateName", prefix, message)


def further_errors(document: Document) -> Iterator[FieldError]:
    """Errors of annotations, ownerReferences and finalizers."""
    metadata = metadata_of(document)
    annotations = metadata.get("annotations") or {}
    if sum(len(name.encode()) + len(text.encode()) for name, text in annotations.items()) > MOST_ANNOTATION_BYTES:
        text = f"Too long: may not be more than {MOST_ANNOTATION_BYTES} bytes"
        yield FieldError("metadata.annotations", "FieldValueTooLong", text)
    yield from _owner_errors(metadata.get("ownerReferences") or [])
    yield from _finalizer_errors(metadata.get("finalizers") or [])


def change_errors(document: Document, current: Document) -> Iterator[FieldError]:
    """Errors of what a version may not change of `current`."""
    before, after = metadata_of(current), metadata_of(document)
    if before.get("deletionTimestamp"):
        added = sorted(set(after.get("finalizers") or ()) - set(before.get("finalizers") or ()))
        if added:
            texts = ", ".join(map(json.dumps, added))
            detail = "no new finalizers can be added if the object is being deleted, found new finalizers"
            yield forbidden("metadata.finalizers", f"{detail} []string{{{texts}}}")
    for name in _IMMUTABLE:
        # What is being deleted keeps its time, whatever is sent.
        kept = name == "deletionTimestamp" and before.get(name)
        if after.get(name) is not None and after[name] != before.get(name) and not kept:
            yield invalid(f"metadata.{name}", after[name], "field is immutable")


def without_duplicate_owners(document: Document) -> tuple[Document, tuple[str, ...]]:
    """`document` with each owner once, and a warning where one was there twice."""
    owners = metadata_of(document).get("ownerReferences") or []
    unique: list[Any] = []
    for owner in owners:
        if owner not in unique:
            unique.append(owner)
    if len(unique) == len(owners):
        return document, ()
    twice = " ".join(str(owner.get("uid", "")) for owner in unique if owners.count(owner) > 1)
    warning = (
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may "
        f"reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: [{twice}]"
    )
    return {**document, "metadata": {**metadata_of(document), "ownerReferences": unique}}, (warning,)


def _owner_errors(owners: list[Document]) -> Iterator[FieldError]:
    controller = ""
    for owner in owners:
        yield from _one_owner_errors(owner)
        if not owner.get("controller"):
            continue
        name = f"{owner.get('kind', '')}/{owner.get('name', '')}"
        if controller:
            found = f'Found "true" in references for {controller} and {name}'
            detail = f"Only one reference can have Controller set to true. {found}"
            yield invalid("metadata.ownerReferences", owners, detail)
        controller = controller or name


def _one_owner_errors(owner: Document) -> Iterator[FieldError]:
    field, version = "metadata.ownerReferences", owner.get("apiVersion") or ""
    if not version or version.endswith("/") or version.count("/") > 1:
        yield invalid(f"{field}.apiVersion", version, "version must not be empty")
    for name in ("kind", "name", "uid"):
        if not owner.get(name):
            yield invalid(f"{field}.{name}", "", "must not be empty")
    if (version, owner.get("kind")) == ("v1", "Event"):
        yield invalid(field, owner, "/v1, Kind=Event is disallowed from being an owner")


def _finalizer_errors(finalizers: list[str]) -> Iterator[FieldError]:
    for finalizer in finalizers:
        for message in qualified_name_messages(finalizer):
            yield invalid("metadata.finalizers", finalizer, message)
    if {"orphan", "foregroundDeletion"} <= set(finalizers):
        detail = "finalizer orphan and foregroundDeletion cannot be both set"
        yield invalid("metadata.finalizers", finalizers, detail)
    for index, finalizer in enumerate(finalizers):
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid(f"metadata.finalizers[{index}]", finalizer, detail)
