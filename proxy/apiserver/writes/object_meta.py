"""Object metadata: what the server alone sets, and what of it a client's version may not change.

Invariant: pure, time and chance are arguments; uid and creationTimestamp live as long as the object; generation, where
a kind has one, counts the changes of what is wanted (everything but metadata and status).
"""

from random import Random

import msgspec

from proxy.apiserver import status
from proxy.apiserver.document import Document, labels_of, metadata_of, with_metadata
from proxy.apiserver.kinds import ENDPOINT_SLICES, ENDPOINTS, NODES, PODS, SERVICES, Kind
from proxy.apiserver.writes.metadata_rules import change_errors
from proxy.model.metadata import ObjectMeta

_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_LONGEST_PREFIX = 58
_COUNTED = (ENDPOINT_SLICES, PODS)
"""Kinds that have a generation."""
_REGISTRY = {SERVICES: "services/specs", ENDPOINTS: "services/endpoints", NODES: "minions"}
_SERVER_FIELDS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")


def identified(kind: Kind, document: Document, namespace: str, name: str) -> Document:
    """`document` as an object of `kind` in the namespace, and under the name if there is one, that the URL names.

    Raises StatusError (400) where the document says something else.
    """
    for field, expected in (("apiVersion", kind.api_version), ("kind", kind.kind)):
        found = document.get(field) or expected
        if found != expected:
            raise status.other_type("API version" if field == "apiVersion" else "kind", found, expected)
    _check_metadata(kind, document)
    metadata = metadata_of(document)
    if kind.namespaced and metadata.get("namespace") not in (None, "", namespace):
        raise status.bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    if name and metadata.get("name") not in (None, "", name):
        raise status.bad_request(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
        )
    if name and not metadata.get("name"):
        raise status.bad_request(
            f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
        )
    document = {"kind": kind.kind, "apiVersion": kind.api_version, **document}
    return with_metadata(document, name=metadata.get("name"), namespace=namespace or None)


def begun(kind: Kind, document: Document, uid: str, now: str, random: Random) -> Document:
    """A new object: with an identity, and a generated name if it asks for one. Raises StatusError (500)."""
    metadata = metadata_of(document)
    if metadata.get("resourceVersion"):
        raise status.failure(500, "", "resourceVersion should not be set on objects to be created")
    name, prefix = metadata.get("name"), metadata.get("generateName")
    if not name and prefix:
        name = prefix[:_LONGEST_PREFIX] + "".join(random.choices(_SUFFIX_LETTERS, k=_SUFFIX_LENGTH))
    cleared = dict.fromkeys((*_SERVER_FIELDS, "resourceVersion", "selfLink"))
    made = {"name": name, "uid": uid, "creationTimestamp": now, "generation": 1 if kind in _COUNTED else None}
    return with_metadata(document, **{**cleared, **made})


def continued(kind: Kind, document: Document, current: Document, *, is_patch: bool = False) -> Document:
    """A new version of the object `current`. Raises StatusError: 409 if it was made from another object or version,
    422 where it changes what nobody may."""
    before, after = metadata_of(current), metadata_of(document)
    version = after.get("resourceVersion") or ""
    # 0 is any version.
    check_preconditions(kind, current, "" if is_patch else after.get("uid") or "", version if version != "0" else "")
    errors = tuple(change_errors(document, current))
    if errors:
        raise status.invalid(kind, before["name"], errors)
    kept = {name: before.get(name) for name in (*_SERVER_FIELDS, "resourceVersion", "selfLink")}
    return with_metadata(document, **kept)


def counted(kind: Kind, document: Document, current: Document) -> Document:
    """`document`, complete, with the next generation if it wants something else than `current`."""
    if kind not in _COUNTED:
        return document
    generation = metadata_of(current).get("generation", 0)
    return with_metadata(document, generation=generation + (_wanted(kind, document) != _wanted(kind, current)))


def kept_up(kind: Kind, content: Document, current: Document | None, uid: str, now: str) -> Document:
    """An object that the server itself keeps, with `content`; `current` itself if that has it already."""
    document = {"kind": kind.kind, "apiVersion": kind.api_version, **content}
    if current is None:
        return with_metadata(document, uid=uid, creationTimestamp=now, generation=1 if kind in _COUNTED else None)
    kept = {name: metadata_of(current).get(name) for name in _SERVER_FIELDS}
    again = with_metadata(document, **kept)
    return current if same(again, current) else counted(kind, again, current)


def check_preconditions(kind: Kind, current: Document, uid: str, version: str) -> None:
    """Raise StatusError (409) unless `current` has this uid and this resourceVersion; empty ones always fit."""
    metadata = metadata_of(current)
    name = metadata["name"]
    if uid and uid != metadata.get("uid"):
        place = "/".join(filter(None, ("/registry", _REGISTRY.get(kind, kind.plural), metadata.get("namespace"), name)))
        detail = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata.get('uid')}"
        error = f"StorageError: invalid object, Code: 4, Key: {place}, ResourceVersion: 0"
        raise status.conflict(kind, name, f"{error}, AdditionalErrorMsg: {detail}")
    if version and version != metadata.get("resourceVersion"):
        raise status.conflict(kind, name)


def check_deletion(kind: Kind, current: Document, uid: str, version: str) -> None:
    """Raise StatusError (409) unless `current` has this uid and this resourceVersion; empty ones always fit."""
    metadata = metadata_of(current)
    for name, wanted, found, why in (
        ("UID", uid, metadata.get("uid"), "deleted and then recreated"),
        ("ResourceVersion", version, metadata.get("resourceVersion"), "modified"),
    ):
        if wanted and wanted != found:
            detail = f"the {name} in the precondition ({wanted}) does not match the {name} in record ({found})."
            raise status.deletion_conflict(kind, metadata["name"], f"{detail} The object might have been {why}")


def same(one: Document, other: Document) -> bool:
    """Whether two versions differ in nothing, or only in when somebody last said so."""
    return _timeless(one) == _timeless(other)


def _timeless(document: Document) -> Document:
    entries = metadata_of(document).get("managedFields") or ()
    return with_metadata(
        document,
        managedFields=[{name: entry[name] for name in entry if name != "time"} for entry in entries],
        resourceVersion=None,
    )


def _wanted(kind: Kind, document: Document) -> tuple[Document, dict[str, str]]:
    """What it is about; the labels of a slice say to which Service it belongs."""
    members = {name: member for name, member in document.items() if name not in ("metadata", "status")}
    return members, labels_of(document) if kind is ENDPOINT_SLICES else {}


def _check_metadata(kind: Kind, document: Document) -> None:
    try:
        msgspec.convert(document.get("metadata", {}), ObjectMeta)
    except msgspec.ValidationError as error:
        raise status.bad_request(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: metadata: {error}'
        ) from error
