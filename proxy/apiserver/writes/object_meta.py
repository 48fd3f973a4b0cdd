"""Object metadata: what the server alone sets, and what of it a client's version may not change.

Imports this room and `model`. Invariant: pure, time and chance are arguments; uid and creationTimestamp live as long
as the object, generation counts the changes of what is wanted (everything but metadata and status).
"""

from random import Random

import msgspec

from proxy.apiserver import status
from proxy.apiserver.document import Document, metadata_of, with_metadata
from proxy.apiserver.kinds import Kind
from proxy.model.metadata import ObjectMeta

_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5
_LONGEST_PREFIX = 58
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
    document = {"kind": kind.kind, "apiVersion": kind.api_version, **document}
    return with_metadata(document, name=name or metadata.get("name"), namespace=namespace or None)


def begun(document: Document, uid: str, now: str, random: Random) -> Document:
    """A new object: with an identity, and a generated name if it asks for one."""
    metadata = metadata_of(document)
    name, prefix = metadata.get("name"), metadata.get("generateName")
    if not name and prefix:
        name = prefix[:_LONGEST_PREFIX] + "".join(random.choices(_SUFFIX_LETTERS, k=_SUFFIX_LENGTH))
    cleared = dict.fromkeys((*_SERVER_FIELDS, "resourceVersion", "selfLink"))
    return with_metadata(document, **{**cleared, "name": name, "uid": uid, "creationTimestamp": now, "generation": 1})


def continued(kind: Kind, document: Document, current: Document) -> Document:
    """A new version of the object `current`. Raises StatusError (409) if it was made from another object or version."""
    before, after = metadata_of(current), metadata_of(document)
    check_preconditions(kind, current, after.get("uid") or "", after.get("resourceVersion") or "")
    kept = {name: before.get(name) for name in (*_SERVER_FIELDS, "resourceVersion", "selfLink")}
    return with_metadata(document, **kept)


def counted(document: Document, current: Document) -> Document:
    """`document`, complete, with the next generation if it wants something else than `current`."""
    generation = metadata_of(current).get("generation", 0)
    return with_metadata(document, generation=generation + (_wanted(document) != _wanted(current)))


def kept_up(kind: Kind, content: Document, current: Document | None, uid: str, now: str) -> Document:
    """An object that the server itself keeps, with `content`; `current` itself if that has it already."""
    document = {"kind": kind.kind, "apiVersion": kind.api_version, **content}
    if current is None:
        return with_metadata(document, uid=uid, creationTimestamp=now, generation=1)
    kept = {name: metadata_of(current).get(name) for name in _SERVER_FIELDS}
    again = with_metadata(document, **kept)
    return current if same(again, current) else counted(again, current)


def check_preconditions(kind: Kind, current: Document, uid: str, version: str) -> None:
    """Raise StatusError (409) unless `current` has this uid and this resourceVersion; empty ones always fit."""
    metadata = metadata_of(current)
    name = metadata["name"]
    if uid and uid != metadata.get("uid"):
        detail = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {metadata.get('uid')}"
        raise status.conflict(kind, name, detail)
    if version and version != metadata.get("resourceVersion"):
        raise status.conflict(kind, name)


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


def _wanted(document: Document) -> Document:
    return {name: member for name, member in document.items() if name not in ("metadata", "status")}


def _check_metadata(kind: Kind, document: Document) -> None:
    try:
        msgspec.convert(document.get("metadata", {}), ObjectMeta)
    except msgspec.ValidationError as error:
        raise status.bad_request(
            f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: metadata: {error}'
        ) from error
