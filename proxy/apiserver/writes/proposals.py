"""Proposals: what a request would change, decided on the state that the store has at that moment.

Invariant: nothing is changed here and nothing is waited for; time and chance are arguments of the
constructor. A proposal's documents are admitted, and whole but for the resourceVersion.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from proxy.apiserver import status
from proxy.apiserver.document import Document, Key, key_of, metadata_of, with_metadata
from proxy.apiserver.kinds import ENDPOINTS, EVENTS, KINDS, NAMESPACES, NODES, PODS, SERVICES, Kind
from proxy.apiserver.storage.store import Store, Write
from proxy.apiserver.writes.admission import admitted, with_defaults
from proxy.apiserver.writes.deletion import is_finished, left_of
from proxy.apiserver.writes.field_ownership import managed_after_update
from proxy.apiserver.writes.managed_fields import UPDATE
from proxy.apiserver.writes.metadata_rules import without_duplicate_owners
from proxy.apiserver.writes.object_meta import begun, check_deletion, continued, counted, identified, same
from proxy.apiserver.writes.options import DeleteOptions, WriteOptions
from proxy.apiserver.writes.patching import APPLY_PATCH, Patch, patched, refused
from proxy.apiserver.writes.service_admission import Trial
from proxy.apiserver.writes.service_warnings import service_warnings
from proxy.apiserver.writes.strictness import STRICT, conforming, strict_errors

PERMANENT_NAMESPACES = ("default", "kube-system")
_GENERATED_NAME_ATTEMPTS = 8
_STATUS_ON_CREATE = (PODS, NODES)
"""Kinds whose creator says their status: there is no kubelet that would."""


_CREATED_BY_UPDATE = (ENDPOINTS, EVENTS, SERVICES)


class Proposal(NamedTuple):
    """`document` is the answer; without `writes` nothing changes."""

    document: Document
    writes: tuple[Write, ...]
    created: bool = False
    warnings: tuple[str, ...] = ()


class Proposals:
    """One method an operation; each raises StatusError."""

    def __init__(
        self, store: Store, trial: Trial, clock: Callable[[], str], random: Random, new_uid: Callable[[], str]
    ) -> None:
        self._store = store
        self._trial = trial
        self._clock = clock
        self._random = random
        self._new_uid = new_uid

    def create(self, kind: Kind, namespace: str, body: Document, options: WriteOptions) -> Proposal:
        """The object in `body` as a new one."""
        document, warnings = conforming(kind, body, options.field_validation, options.duplicates)
        document = with_metadata(identified(kind, document, namespace, ""), managedFields=None)
        document = with_defaults(kind, document)
        document = managed_after_update(kind, None, document, options.field_manager, UPDATE, self._clock())
        return self._created(kind, document, warnings)

    def update(self, kind: Kind, key: Key, body: Document, options: WriteOptions, subresource: str = "") -> Proposal:
        """The object in `body` instead of the one under `key`; its status alone if that is the `subresource`."""
        stored = self._store.get(kind, key)
        if stored is None and kind in _CREATED_BY_UPDATE and not subresource:
            identified(kind, body, *key)
            return self.create(kind, key[0], body, options)
        current = self._current(kind, key)
        document, warnings = conforming(kind, body, options.field_validation, options.duplicates)
        document, owner_warnings = without_duplicate_owners(identified(kind, document, *key))
        warnings = (*warnings, *owner_warnings, *_warnings(kind, document))
        document = self._merged(kind, document, current, subresource)
        document = managed_after_update(
            kind, current, document, options.field_manager, UPDATE, self._clock(), subresource
        )
        return self._updated(kind, document, current, warnings)

    def patch(self, kind: Kind, key: Key, patch: Patch, options: WriteOptions, subresource: str = "") -> Proposal:
        """The object under `key` after `patch`; server-side apply creates it where there is none."""
        stored = self._store.get(kind, key)
        if stored is None and (patch.media_type != APPLY_PATCH or subresource):
            raise status.not_found(kind, key[1])
        current = stored.document if stored else None
        manager, now = options.field_manager, self._clock()
        document = patched(kind, current, patch, manager, options.force, now, subresource)
        if options.field_validation == STRICT and patch.media_type != APPLY_PATCH:
            found = strict_errors(kind, document, options.duplicates)
            if found:
                raise refused(patch, f"strict decoding error: {', '.join(found)}")
        document, warnings = conforming(kind, document, options.field_validation, options.duplicates)
        document, owner_warnings = without_duplicate_owners(identified(kind, document, *key))
        if current is None:
            return self._created(kind, document, warnings)
        warnings = (*warnings, *owner_warnings, *_warnings(kind, document))
        managers = metadata_of(document).get("managedFields")
        document = self._merged(kind, document, current, subresource, is_patch=True)
        return self._updated(kind, with_metadata(document, managedFields=managers), current, warnings)

    def delete(self, kind: Kind, key: Key, options: DeleteOptions) -> Proposal:
        """Without the object under `key`; with finalizers or a grace period it stays, and is marked."""
        current = self._current(kind, key)
        check_deletion(kind, current, options.uid, options.version)
        if kind is NAMESPACES and key[1] in PERMANENT_NAMESPACES:
            raise status.forbidden(kind, key[1], "this namespace may not be deleted")
        contents = self._contents(key[1]) if kind is NAMESPACES else ()
        return Proposal(current, (*self._deletion(kind, current, options), *contents))

    def delete_all(self, kind: Kind, documents: Sequence[Document], options: DeleteOptions) -> Proposal:
        """Without any of the `documents`, which are stored."""
        return Proposal({}, tuple(write for each in documents for write in self._deletion(kind, each, options)))

    def _created(self, kind: Kind, document: Document, warnings: tuple[str, ...]) -> Proposal:
        self._require_namespace(kind, document)
        document, owner_warnings = without_duplicate_owners(document)
        warnings = (*warnings, *owner_warnings, *_warnings(kind, document))
        document = self._named(kind, document)
        if kind not in _STATUS_ON_CREATE:
            document = {name: member for name, member in document.items() if name != "status"}
        document = admitted(kind, document, None, self._trial)
        return Proposal(document, (Write(kind, key_of(document), document),), created=True, warnings=warnings)

    def _named(self, kind: Kind, document: Document) -> Document:
        for _ in range(_GENERATED_NAME_ATTEMPTS):
            candidate = begun(kind, document, self._new_uid(), self._clock(), self._random)
            if self._store.get(kind, key_of(candidate)) is None:
                return candidate
        raise status.already_exists(kind, key_of(candidate)[1])

    def _merged(
        self, kind: Kind, document: Document, current: Document, subresource: str, *, is_patch: bool = False
    ) -> Document:
        """`document` with what this request may not change as it is in `current`: of the status subresource that is
        everything but status and metadata."""
        continuing = continued(kind, document, current, is_patch=is_patch)
        if subresource:
            merged = {**current, "metadata": continuing["metadata"], "status": continuing.get("status", {})}
            if kind is PODS:
                merged = with_metadata(merged, ownerReferences=metadata_of(current).get("ownerReferences"))
        elif "status" in current:
            merged = {**continuing, "status": current["status"]}
        else:
            merged = {name: member for name, member in continuing.items() if name != "status"}
        merged = with_metadata(merged, managedFields=metadata_of(current).get("managedFields"))
        return counted(kind, admitted(kind, merged, current, self._trial), current)

    def _updated(self, kind: Kind, document: Document, current: Document, warnings: tuple[str, ...]) -> Proposal:
        if same(document, current):
            return Proposal(current, (), warnings=warnings)
        write = Write(kind, key_of(document), None if is_finished(document) else document)
        return Proposal(document, (write,), warnings=warnings)

    def _current(self, kind: Kind, key: Key) -> Document:
        stored = self._store.get(kind, key)
        if stored is None:
            raise status.not_found(kind, key[1])
        return stored.document

    def _deletion(self, kind: Kind, current: Document, options: DeleteOptions) -> tuple[Write, ...]:
        """None where the object is being deleted already."""
        left = left_of(kind, current, options.grace_seconds, self._clock())
        return () if left is current else (Write(kind, key_of(current), left),)

    def _contents(self, namespace: str) -> tuple[Write, ...]:
        """Deletions of everything in the namespace; what the controller made goes with its Service."""
        return tuple(
            Write(kind, stored.key, None)
            for kind in KINDS
            if kind.namespaced
            for stored in self._store.objects(kind).values()
            if stored.key[0] == namespace and not stored.made
        )

    def _require_namespace(self, kind: Kind, document: Document) -> None:
        namespace = key_of(document)[0]
        if kind.namespaced and self._store.get(NAMESPACES, ("", namespace)) is None:
            raise status.not_found(NAMESPACES, namespace)


def _warnings(kind: Kind, document: Document) -> tuple[str, ...]:
    return tuple(service_warnings(document)) if kind is SERVICES else ()
