"""From client-side to server-side apply: what kubectl's annotation still says.

kubectl apply without --server-side leaves its configuration in an annotation; whoever goes on with `kubectl apply
--server-side` is the same person, so those fields do not conflict (lastAppliedManager of
k8s.io/apimachinery/pkg/util/managedfields). Invariant: a field that differs from the annotation is not given away.
"""

import json

from proxy.apiserver.document import Document
from proxy.apiserver.kinds import Kind
from proxy.apiserver.schema.schema import record_of
from proxy.apiserver.schema.schema_conformance import type_mismatch
from proxy.apiserver.writes.field_ownership import compared
from proxy.apiserver.writes.field_paths import FieldSet, MissingKeyError, places

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_KUBECTL = "kubectl"


def handed_over(kind: Kind, live: Document, field_manager: str) -> FieldSet:
    """The fields of `live` that are as kubectl last applied them, if kubectl is the `field_manager`; else none."""
    annotation = (live.get("metadata", {}).get("annotations") or {}).get(LAST_APPLIED)
    configuration = _parsed(kind, annotation) if annotation and field_manager == _KUBECTL else None
    if configuration is None:
        return frozenset()
    try:
        comparison = compared(kind, configuration, live)
        return frozenset(places(record_of(kind), configuration)) - comparison.changed - comparison.gone
    except MissingKeyError:
        return frozenset()


def with_last_applied(document: Document, configuration: Document, field_manager: str) -> Document:
    """`document` with the annotation brought up to `configuration`, where kubectl applied it and the annotation is
    there, so that client-side apply and `kubectl diff` can go on from it."""
    annotations = document.get("metadata", {}).get("annotations") or {}
    if field_manager != _KUBECTL or LAST_APPLIED not in annotations:
        return document
    text = json.dumps(configuration, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"
    metadata = {**document["metadata"], "annotations": {**annotations, LAST_APPLIED: text}}
    return {**document, "metadata": metadata}


def _parsed(kind: Kind, annotation: str) -> Document | None:
    """The configuration, or None where anybody wrote something else into the annotation."""
    try:
        configuration = json.loads(annotation)
    except (ValueError, RecursionError):
        return None
    if not isinstance(configuration, dict) or type_mismatch(kind, configuration):
        return None
    return configuration
