"""The endpoint controller: keeps the EndpointSlices and Endpoints of Services as the objects of the API ask for.

Invariant: what is made for a write is in the same transaction, so no client sees one without the other; it changes and
removes only what it made itself, and its objects stay as it makes them, whatever a client does to them.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from proxy.apiserver.document import Document, Key
from proxy.apiserver.endpoints_object import endpoints_object
from proxy.apiserver.kinds import ENDPOINT_SLICES, ENDPOINTS, IP_ADDRESSES, NODES, PODS, SERVICES, Kind
from proxy.apiserver.made_addresses import address_writes, range_writes
from proxy.apiserver.made_object import made_endpoints, made_slice
from proxy.apiserver.storage.store import Store, Transaction, Write
from proxy.cluster.cluster import Cluster, ObjectId
from proxy.cluster.mirrored_slices import CONTROLLER as MIRRORING_CONTROLLER
from proxy.logs import fields
from proxy.model.changes import Changes
from proxy.model.decoding import DecodingError, Object, decode
from proxy.model.endpoint_slice import CONTROLLER, MANAGED_BY_LABEL, EndpointSlice
from proxy.model.problem import Problem
from proxy.model.service import Service

_OBSERVED = (SERVICES, PODS, NODES, ENDPOINTS, ENDPOINT_SLICES)

_log = logging.getLogger(__name__)

_Asked = Mapping[tuple[Kind, Key], Write]


class EndpointController:
    """Turns clients' writes into transactions. `on_changes` is told what the proxy is to serve, once it is durable;
    `clock` gives an RFC 3339 time and `new_uid` a uid; ClusterIPs are given out of `ranges`."""

    def __init__(
        self,
        cluster: Cluster,
        store: Store,
        on_changes: Callable[[Changes], None],
        clock: Callable[[], str],
        new_uid: Callable[[], str],
        ranges: Sequence[str] = (),
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._on_changes = on_changes
        self._clock = clock
        self._new_uid = new_uid
        self._ranges = tuple(ranges)
        self._services: dict[Key, Service] = {}
        self._made: dict[Key, dict[Key, EndpointSlice]] = {}
        self._problems: tuple[Problem, ...] | None = None

    def trial(self, service: Service) -> Service:
        """What `service` would be in force; nothing changes. Raises NotAdmittedError."""
        return self._cluster.trial(service)

    def initial(self) -> Transaction:
        """Everything that is stored already, told to `on_changes` at once. Decided once, before anything else."""
        given = [stored for kind in _OBSERVED for stored in self._store.objects(kind).values() if not stored.made]
        changes = self._cluster.apply(_decoded(stored.document for stored in given), ())
        self._remember(changes, {})
        now, claimed = self._clock(), {address for each in self._services.values() for address in each.spec.cluster_ips}
        unclaimed = [key for key in self._store.objects(IP_ADDRESSES) if key[1] not in claimed]
        stale = (key for key, stored in self._store.objects(ENDPOINT_SLICES).items() if stored.made)
        stale_slices = [key for key in stale if key not in self._made_for(_owner(key))]
        touched = {key for key, stored in self._store.objects(ENDPOINTS).items() if stored.made} | self._services.keys()
        return Transaction(
            [
                *(Write(ENDPOINT_SLICES, key, None, made=True) for key in stale_slices),
                *self._slice_writes(changes, {}),
                *self._endpoints_writes(touched, {}),
                *(Write(IP_ADDRESSES, key, None, made=True) for key in unclaimed),
                *address_writes((), self._services.values(), self._store.get, self._new_uid, now),
                *range_writes(self._ranges, self._store.get, self._new_uid, now),
            ],
            published=lambda: self._tell(changes),
            undo=_nothing,
        )

    def transaction(self, writes: Sequence[Write]) -> Transaction:
        """The clients' `writes`, each of another object, and what follows from them."""
        asked = {(write.kind, write.key): write for write in writes}
        observed = [write for write in writes if write.kind in _OBSERVED and not self._is_made(write.kind, write.key)]
        before = [(write.kind, write.key, self._document(write.kind, write.key)) for write in observed]
        services = dict(self._services)
        changes = self._apply([(write.kind, write.key, write.document) for write in observed], asked)
        touched = {key for kind, key in asked if kind is ENDPOINTS}
        touched |= {_owner(key) for kind, key in asked if kind is ENDPOINT_SLICES}
        touched |= {service.key for service in changes.services} | set(changes.removed_services)
        touched |= {each.service for each in changes.slices if each.service} | set(map(_owner, changes.removed_slices))
        following = [
            *self._slice_writes(changes, asked),
            *self._endpoints_writes(touched, asked),
            *self._address_writes(services, changes),
        ]
        together = {**asked, **{(write.kind, write.key): write for write in following}}
        return Transaction(
            list(together.values()),
            published=lambda: self._tell(changes),
            undo=lambda: _discard(self._apply(before, {})),
        )

    def _address_writes(self, before: Mapping[Key, Service], changes: Changes) -> Iterator[Write]:
        keys = {*(service.key for service in changes.services), *changes.removed_services}
        replaced = [before[key] for key in keys if key in before]
        return address_writes(replaced, changes.services, self._store.get, self._new_uid, self._clock())

    def _apply(self, versions: Iterable[tuple[Kind, Key, Document | None]], asked: _Asked) -> Changes:
        put: list[Document] = []
        removed: list[ObjectId] = []
        for kind, key, document in versions:
            if document is None:
                removed.append((kind.kind, *key))
            else:
                put.append(document)
        changes = self._cluster.apply(_decoded(put), removed)
        self._remember(changes, asked)
        return changes

    def _remember(self, changes: Changes, asked: _Asked) -> None:
        for service in changes.services:
            self._services[service.key] = service
        for key in changes.removed_services:
            del self._services[key]
        for key in changes.removed_slices:
            self._forget(key)
        for each in changes.slices:
            if self._is_given(each.key, asked):
                self._forget(each.key)
            else:
                self._made.setdefault(_owner(each.key), {})[each.key] = each

    def _forget(self, key: Key) -> None:
        made = self._made_for(_owner(key))
        if made.pop(key, None) is not None and not made:
            del self._made[_owner(key)]

    def _made_for(self, owner: Key) -> dict[Key, EndpointSlice]:
        return self._made.get(owner, {})

    def _is_given(self, key: Key, asked: _Asked) -> bool:
        """Whether the slice is a client's, after what is `asked`."""
        if self._is_made(ENDPOINT_SLICES, key):
            return False
        write = asked.get((ENDPOINT_SLICES, key))
        return write.document is not None if write else self._store.get(ENDPOINT_SLICES, key) is not None

    def _slice_writes(self, changes: Changes, asked: _Asked) -> Iterator[Write]:
        for key in changes.removed_slices:
            if self._is_made(ENDPOINT_SLICES, key):
                yield Write(ENDPOINT_SLICES, key, None, made=True)
        contested = {key for kind, key in asked if kind is ENDPOINT_SLICES}
        for key in sorted(contested | {each.key for each in changes.slices}):
            made = self._made_for(_owner(key)).get(key)
            owner = self._owner_of(made, asked) if made else None
            if made is None or owner is None:
                continue
            current = self._kept(ENDPOINT_SLICES, key, asked)
            document = made_slice(made, owner, current, self._new_uid(), self._clock())
            if document is not current or key in contested:
                yield Write(ENDPOINT_SLICES, key, document, made=True)

    def _endpoints_writes(self, touched: Iterable[Key], asked: _Asked) -> Iterator[Write]:
        for key in sorted(touched):
            service = self._services.get(key)
            stored, write = self._store.get(ENDPOINTS, key), asked.get((ENDPOINTS, key))
            if service is None or not service.spec.selector or service.spec.type == "ExternalName":
                if stored is not None and stored.made:
                    yield Write(ENDPOINTS, key, None, made=True)
                continue
            clients_own = write.document is not None if write else stored is not None
            if clients_own and not self._is_made(ENDPOINTS, key):
                continue
            current = self._kept(ENDPOINTS, key, asked)
            slices = [each for each in self._made_for(key).values() if _maker(each) == CONTROLLER]
            document = made_endpoints(endpoints_object(service, slices), current, self._new_uid(), self._clock())
            if document is not current or write:
                yield Write(ENDPOINTS, key, document, made=True)

    def _owner_of(self, made: EndpointSlice, asked: _Asked) -> tuple[Kind, Document] | None:
        kind = ENDPOINTS if _maker(made) == MIRRORING_CONTROLLER else SERVICES
        key = made.service or ("", "")
        write = asked.get((kind, key))
        document = write.document if write else self._document(kind, key)
        return None if document is None else (kind, document)

    def _kept(self, kind: Kind, key: Key, asked: _Asked) -> Document | None:
        """The controller's own version that is there, unless a client deletes it now: then it begins anew."""
        write = asked.get((kind, key))
        deleted = write is not None and write.document is None
        return self._document(kind, key) if self._is_made(kind, key) and not deleted else None

    def _is_made(self, kind: Kind, key: Key) -> bool:
        stored = self._store.get(kind, key)
        return stored is not None and stored.made

    def _document(self, kind: Kind, key: Key) -> Document | None:
        stored = self._store.get(kind, key)
        return stored.document if stored else None

    def _tell(self, changes: Changes) -> None:
        problems = tuple(
            Problem(str(error), subject=f"{kind} {namespace}/{name}")
            for (kind, namespace, name), errors in sorted(self._cluster.refused.items())
            for error in errors
        )
        if problems != self._problems:
            self._problems = problems
            changes = replace(changes, problems=problems)
        if changes != Changes():
            self._on_changes(changes)


def _owner(slice_key: Key) -> Key:
    """The Service of a slice that is made: its name is in the slice's."""
    namespace, name = slice_key
    return namespace, name.rpartition("-")[0]


def _maker(made: EndpointSlice) -> str:
    return made.metadata.labels.get(MANAGED_BY_LABEL, "")


def _decoded(documents: Iterable[Document]) -> Iterator[Object]:
    for document in documents:
        try:
            found = decode(document)
        except DecodingError as error:
            # Admission lets no such object in: another release of this program has stored it.
            _log.error(f"stored object is left out: {error}", extra=fields(subject=error.subject))
        else:
            if found is not None:
                yield found


def _nothing() -> None:
    """There is nothing to undo."""


def _discard(changes: Changes) -> None:
    """What was undone is told to nobody."""
