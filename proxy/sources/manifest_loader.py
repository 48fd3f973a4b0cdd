"""The manifest loader: keeps the objects of manifest files in the embedded API, as one more of its clients.

Invariant: an object is applied by the loader's own field manager, which takes what the files say from whoever else set
it and leaves the rest alone; an object that the files had and have no more is deleted, also when that happened while
nobody was looking.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Set
from random import Random

from proxy.apiserver.document import Document, document_of, metadata_of
from proxy.apiserver.embedded_api import EmbeddedAPI
from proxy.apiserver.kinds import ENDPOINTS, KINDS, NAMESPACES, PODS, SERVICES, Kind, kind_named
from proxy.apiserver.status import StatusError
from proxy.apiserver.writes.admission import observed_of_pod
from proxy.apiserver.writes.last_applied import LAST_APPLIED
from proxy.apiserver.writes.options import DeleteOptions, WriteOptions
from proxy.apiserver.writes.patching import APPLY_PATCH, MERGE_PATCH, Patch
from proxy.cluster.allocators import allocators_for
from proxy.cluster.cluster import ClusterSettings, ObjectId, object_id
from proxy.cluster.giving_way import moves_for
from proxy.cluster.ledger import Grant, Ledger, grant_of
from proxy.cluster.service_registry import ServiceRegistry
from proxy.cluster.slice_store import controllers_for, made_by_controller
from proxy.model.decoding import Object, decode
from proxy.model.endpoint_slice import MANAGED_BY_LABEL, EndpointSlice
from proxy.model.problem import FieldError, Problem
from proxy.model.service import Service
from proxy.sources.manifest_reader import Reading
from proxy.sources.manifest_set import ManifestSet

FIELD_MANAGER = "svcproxy-manifests"
_APPLY = WriteOptions(field_manager=FIELD_MANAGER, force=True)
_MERGE = WriteOptions(field_manager=FIELD_MANAGER)
_SET_BY_SERVERS = frozenset(("uid", "resourceVersion", "creationTimestamp", "deletionTimestamp"))


class ManifestLoader:
    """Brings the API up to one reading after the other."""

    def __init__(self, api: EmbeddedAPI, settings: ClusterSettings) -> None:
        self._api = api
        self._settings = settings
        self._manifests = ManifestSet()
        self._refused: dict[ObjectId, tuple[Object, tuple[FieldError, ...]]] = {}
        self._of_controllers: dict[ObjectId, EndpointSlice] = {}
        """The slices in the files that the controllers of another cluster made."""
        self._left_out: set[ObjectId] = set()
        self._undecided: set[ObjectId] = set()
        """Those of them that are new, whether they count or not."""
        self._swept = False

    async def load(self, reading: Reading) -> tuple[Problem, ...]:
        """Apply what is new and delete what is gone; returns everything that is wrong now."""
        put, removed = self._manifests.update(reading.files, reading.deleted)
        for identity in removed:
            await self._delete(identity)
        if not self._swept and self._manifests.complete and not reading.faults:
            self._swept = True
            for identity in list(self._left_behind()):
                await self._delete(identity)
        newest = {identity: item for identity, (item, _) in self._refused.items()}
        newest.update((object_id(item), item) for item in put)
        self._keep_apart(newest, removed)
        for item in sorted(newest.values(), key=_order):
            await self._apply(item)
        await self._exchange(newest)
        await self._choose_slices()
        refused = {identity: errors for identity, (_, errors) in self._refused.items()}
        return self._manifests.problems(refused) + self._manifests.left_out(sorted(self._left_out))

    def _keep_apart(self, newest: dict[ObjectId, Object], removed: Iterable[ObjectId]) -> None:
        """Take the slices of controllers out of `newest`. They are decided once everything else is applied."""
        for identity in removed:
            self._of_controllers.pop(identity, None)
            self._left_out.discard(identity)
            self._undecided.discard(identity)
        for identity, item in list(newest.items()):
            self._of_controllers.pop(identity, None)
            if isinstance(item, EndpointSlice) and made_by_controller(item):
                self._of_controllers[identity] = item
                self._undecided.add(identity)
                del newest[identity]

    async def _exchange(self, newest: Mapping[ObjectId, Object]) -> None:
        """Recreate Services that hold what others of the files state, if all come in then (cluster/giving_way.py)."""
        refused = [item.key for item, _ in self._refused.values() if isinstance(item, Service)]
        if not any(identity in self._refused for identity in newest):
            return
        stated = {item.key: item for item in self._manifests.services()}
        stored = {key: each.document for key, each in self._api.store.objects(SERVICES).items()}
        grants = {key: grant_of(service) for key, service in _services(stored)}
        fixed = {key for key, document in stored.items() if metadata_of(document).get("finalizers")}
        while moves := moves_for(refused, stated, grants, fixed):
            if not (failed := self._refused_together([stated[key] for key in moves], grants.values())):
                break
            fixed |= failed
        for key in moves.keys() & stored.keys():
            await self._api.operations.delete(SERVICES, key, DeleteOptions())
        for item in sorted((stated[key] for key in moves), key=_order):
            await self._apply(item)
            if object_id(item) in self._refused and item.key in stored:
                await self._restore(item.key, stored[item.key])

    def _refused_together(self, services: Iterable[Service], grants: Iterable[Grant]) -> Set[tuple[str, str]]:
        """Which of these would still be refused after an exchange."""
        allocators = allocators_for(self._settings.service_ranges, self._settings.node_port_range, Random(0))
        registry = ServiceRegistry(allocators, Ledger(tuple(grants)))
        registry.apply(services, ())
        return registry.refused.keys()

    async def _restore(self, key: tuple[str, str], document: Document) -> None:
        """Bring back what was in force, unless another has its numbers by now: its refusal is told already."""
        again: Document = {name: document[name] for name in ("apiVersion", "kind", "spec")}
        metadata = metadata_of(document)
        again["metadata"] = {name: metadata[name] for name in ("name", "labels", "annotations") if name in metadata}
        with contextlib.suppress(StatusError):
            await self._api.operations.create(SERVICES, key[0], again, _MERGE)

    async def _choose_slices(self) -> None:
        """Apply the slices of controllers whose work is not done here, and delete the others."""
        for identity, item in self._of_controllers.items():
            counts = not self._is_done_here(item)
            if counts and identity in self._left_out | self._undecided:
                self._left_out.discard(identity)
                await self._apply(item)
            elif not counts and identity not in self._left_out:
                self._left_out.add(identity)
                kind, key = _place(identity)
                stored = self._api.store.get(kind, key)
                if stored is not None and _is_loaded(stored.document):
                    await self._delete(identity)
        self._undecided.clear()

    def _is_done_here(self, item: EndpointSlice) -> bool:
        key = item.service
        stored = self._api.store.get(SERVICES, key) if key else None
        service = decode(stored.document) if stored else None
        endpoints = self._api.store.get(ENDPOINTS, key) if key else None
        controllers = controllers_for(
            service if isinstance(service, Service) else None, endpoints is not None and not endpoints.made
        )
        return item.metadata.labels.get(MANAGED_BY_LABEL) in controllers

    async def _apply(self, item: Object) -> None:
        identity = object_id(item)
        try:
            await self._put(item)
        except StatusError as error:
            causes = error.status.details.causes if error.status.details else ()
            errors = tuple(FieldError(cause.field, cause.reason, cause.message) for cause in causes if cause.field)
            self._refused[identity] = item, errors or (FieldError("metadata", "", error.status.message),)
        else:
            self._refused.pop(identity, None)

    async def _put(self, item: Object) -> None:
        kind, key = _place(object_id(item))
        document = {"apiVersion": kind.api_version, "kind": kind.kind, **document_of(item)}
        observed = document.pop("status", None)
        document = _with_last_applied(_without_what_servers_set(document))
        namespace: Document = {"metadata": {"name": key[0]}}
        if key[0] and self._api.store.get(NAMESPACES, ("", key[0])) is None:
            await self._api.operations.create(NAMESPACES, "", namespace, _MERGE)
        await self._api.operations.patch(kind, key, Patch(document, APPLY_PATCH), _APPLY)
        if observed:
            if kind is PODS:
                observed = observed_of_pod(observed)
            patch = Patch({"status": observed}, MERGE_PATCH)
            await self._api.operations.patch(kind, key, patch, _MERGE, "status")

    async def _delete(self, identity: ObjectId) -> None:
        self._refused.pop(identity, None)
        kind, key = _place(identity)
        if self._api.store.get(kind, key) is not None:
            await self._api.operations.delete(kind, key, DeleteOptions())

    def _left_behind(self) -> Iterator[ObjectId]:
        """Objects of earlier runs that no file has now."""
        for kind in KINDS:
            for key, stored in self._api.store.objects(kind).items():
                identity = (kind.kind, *key)
                if _is_loaded(stored.document) and not self._manifests.place_of(identity):
                    yield identity


def _is_loaded(document: Document) -> bool:
    """Whether a stored object came from a file."""
    managers = metadata_of(document).get("managedFields") or ()
    return any((each["manager"], each["operation"]) == (FIELD_MANAGER, "Apply") for each in managers)


def _without_what_servers_set(document: Document) -> Document:
    """What the author says: the uid and version of an exported object are those of another cluster."""
    metadata = {name: value for name, value in document["metadata"].items() if name not in _SET_BY_SERVERS}
    return {**document, "metadata": metadata}


def _with_last_applied(document: Document) -> Document:
    """`document` with the annotation by which a later kubectl apply knows which fields it may remove."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"
    metadata = document["metadata"]
    annotations = {**(metadata.get("annotations") or {}), LAST_APPLIED: text}
    return {**document, "metadata": {**metadata, "annotations": annotations}}


def _services(documents: Mapping[tuple[str, str], Document]) -> Iterator[tuple[tuple[str, str], Service]]:
    for key, document in documents.items():
        service = decode(document)
        assert isinstance(service, Service), "the store holds Services under their kind"
        yield key, service


def _place(identity: ObjectId) -> tuple[Kind, tuple[str, str]]:
    kind = kind_named(identity[0])
    assert kind is not None, f"{identity[0]} is a kind of the model that the API does not serve"
    return kind, identity[1:]


def _order(item: Object) -> tuple[bool, ObjectId]:
    """Services that state a number come first, before Services that take any."""
    stated = isinstance(item, Service) and (
        bool(item.spec.cluster_ips) or any(port.node_port for port in item.spec.ports)
    )
    return not stated, object_id(item)
