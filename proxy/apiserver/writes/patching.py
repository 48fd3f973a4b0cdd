"""PATCH: one object, one body, and the four media types that say what the body means.

Invariant: the result has the schema's shape; the object given is never changed, and its managedFields are up to date
in the result.
"""

from typing import Any

import msgspec

from proxy.apiserver.bounded_text import TextError, json_value, yaml_value
from proxy.apiserver.document import Document
from proxy.apiserver.kinds import Kind
from proxy.apiserver.schema.schema import record_of
from proxy.apiserver.schema.schema_conformance import type_mismatch
from proxy.apiserver.status import Cause, Details, StatusError, bad_request, failure, unsupported_media_type
from proxy.apiserver.writes.field_ownership import managed_after_update
from proxy.apiserver.writes.json_patch import apply_json_patch
from proxy.apiserver.writes.managed_fields import UPDATE
from proxy.apiserver.writes.merge_patch import apply_merge_patch
from proxy.apiserver.writes.refused_patch import refused_patch
from proxy.apiserver.writes.server_side_apply import apply_configuration
from proxy.apiserver.writes.strategic_merge import apply_strategic_merge
from proxy.model.field_errors import required

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
PATCH_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH)


class Patch(msgspec.Struct, frozen=True):
    """The body of a PATCH request: a value of JSON, and what it means, one of PATCH_TYPES. `duplicates` are the paths
    of members that it sets more than once."""

    content: object
    media_type: str
    duplicates: tuple[str, ...] = ()


def parsed_patch(body: bytes, content_type: str) -> Patch:
    """The patch in `body`. Raises StatusError: 415 for another media type, 400 for a body that is none, 413 for one
    that is too large to be looked at."""
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type not in PATCH_TYPES:
        raise unsupported_media_type(PATCH_TYPES)
    language = "YAML" if media_type == APPLY_PATCH else "patch"
    try:
        decoded = yaml_value(body) if media_type == APPLY_PATCH else json_value(body)
    except TextError as error:
        raise bad_request(f"error decoding {language}: {error}") from error
    return Patch(decoded.value, media_type, decoded.duplicates)


def patched(
    kind: Kind,
    current: Document | None,
    patch: Patch,
    field_manager: str,
    force: bool,
    now: str,
    subresource: str = "",
) -> Document:
    """`current` with `patch`, managedFields included.

    Only an apply patch may have no `current`: it creates the object. `now` is RFC 3339. Raises StatusError: 400 for
    what is no patch, 409 for conflicts of an apply, 422 for what does not apply.
    """
    if patch.media_type == APPLY_PATCH:
        return _applied(kind, current, patch.content, field_manager, force, now, subresource)
    if force:
        raise _bad_option("force", "Forbidden: may not be specified for non-apply patch", "FieldValueForbidden")
    if current is None:
        raise ValueError("only an apply patch creates objects")
    document = _conforming(kind, _changed(kind, current, patch.content, patch.media_type), patch)
    return managed_after_update(kind, current, document, field_manager, UPDATE, now, subresource)


def refused(patch: Patch, reason: str) -> StatusError:
    """422: what `patch`, which is no apply patch, leaves is no object of its kind."""
    return refused_patch(patch.content, reason, is_strategic=patch.media_type == STRATEGIC_MERGE_PATCH)


def _applied(
    kind: Kind,
    current: Document | None,
    content: object,
    field_manager: str,
    force: bool,
    now: str,
    subresource: str,
) -> Document:
    if not field_manager:
        raise _bad_option("fieldManager", "Required value: is required for apply patch", "FieldValueRequired")
    configuration = _configuration(kind, content)
    return apply_configuration(kind, current, configuration, field_manager, force, now, subresource)


def _changed(kind: Kind, current: Document, patch: object, media_type: str) -> Any:
    if media_type == JSON_PATCH:
        return apply_json_patch(current, patch)
    if not isinstance(patch, dict):
        raise bad_request("Invalid JSON Patch")
    if media_type == MERGE_PATCH:
        return apply_merge_patch(current, patch)
    return apply_strategic_merge(record_of(kind), current, patch)


def _conforming(kind: Kind, document: Any, patch: Patch) -> Document:
    """`document`, if `patch` left it an object of its kind; else 422, on the field `patch` as in the API server."""
    if not isinstance(document, dict):
        raise bad_request("the patch leaves no object")
    mismatch = type_mismatch(kind, document)
    if mismatch is None and not isinstance(document.get("metadata"), dict):
        mismatch = "metadata is missing"
    if mismatch is not None:
        raise refused(patch, mismatch)
    return document


def _configuration(kind: Kind, document: object) -> Document:
    if not isinstance(document, dict):
        raise bad_request("error decoding YAML: an apply patch is one object")
    for field in ("apiVersion", "kind"):
        if not isinstance(document.get(field), str) or not document[field]:
            raise bad_request(f"error decoding YAML: {required(field)}")
    if (document["apiVersion"], document["kind"]) != (kind.api_version, kind.kind):
        given = f"{document['apiVersion']}, Kind={document['kind']}"
        raise bad_request(f"the apply patch is a {given}, expected {kind.api_version}, Kind={kind.kind}")
    mismatch = type_mismatch(kind, document)
    if mismatch is not None:
        raise bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {mismatch}')
    return document


def _bad_option(field: str, text: str, reason: str) -> StatusError:
    details = Details(group="meta.k8s.io", kind="PatchOptions", causes=(Cause(reason, text, field),))
    message = f'PatchOptions.meta.k8s.io "" is invalid: {field}: {text}'
    return failure(422, "Invalid", message, details)
