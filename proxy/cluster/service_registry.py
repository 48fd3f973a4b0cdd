"""The Services in force, the versions that are not, and why.

Imports `model` and this room's admission. Invariant: an accepted version stays in force until a better one or a
removal arrives; a refused version is tried again whenever something is released; every grant is reserved in the
allocators, those of Services not seen yet included.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from proxy.cluster.admission import admit
from proxy.cluster.allocators import Allocators
from proxy.cluster.ledger import Grant, Ledger, no_grant
from proxy.cluster.not_admitted import NotAdmittedError
from proxy.cluster.restoration import restored
from proxy.model.changes import ObjectKey
from proxy.model.problem import FieldError
from proxy.model.service import Service


class ServiceRegistry:
    """What the API server's storage is for Services: newest versions in, admitted versions out."""

    def __init__(self, allocators: Allocators, ledger: Ledger) -> None:
        self._allocators = allocators
        self._newest: dict[ObjectKey, Service] = {}
        self._in_force: dict[ObjectKey, Service] = {}
        self._refused: dict[ObjectKey, tuple[FieldError, ...]] = {}
        self._grants: dict[ObjectKey, Grant] = {}
        self._ledger: Ledger | None = None
        self._released = False
        for grant in ledger.grants:
            self._hold((grant.namespace, grant.name), restored(grant, allocators))

    @property
    def in_force(self) -> Mapping[ObjectKey, Service]:
        return MappingProxyType(self._in_force)

    @property
    def refused(self) -> Mapping[ObjectKey, tuple[FieldError, ...]]:
        """Services whose newest version is not in force, and why."""
        return MappingProxyType(self._refused)

    @property
    def ledger(self) -> Ledger:
        """The same object until something is given out or taken back."""
        if self._ledger is None:
            self._ledger = Ledger(tuple(grant for _, grant in sorted(self._grants.items())))
        return self._ledger

    def trial(self, service: Service) -> Service:
        """What `service` would be in force, with everything filled in; nothing is kept of it.

        Raises NotAdmittedError.
        """
        held = self._grants.get(service.key) or no_grant(service.key)
        admission = admit(service, self._in_force.get(service.key), held, self._allocators)
        self._allocators.exchange(admission.grant, held)
        return admission.service

    def apply(self, put: Iterable[Service], removed: Iterable[ObjectKey]) -> set[ObjectKey]:
        """Bring new versions into force where that can be; returns the Services that may have changed.

        Removals come first, then Services that state an address or port, so that none of them loses it to a Service
        that would take any.
        """
        touched = set()
        for key in removed:
            if self._newest.pop(key, None) is not None:
                self._in_force.pop(key, None)
                self._refused.pop(key, None)
                self._release(key)
                touched.add(key)
        fresh = [service for service in put if self._newest.get(service.key) != service]
        for service in sorted(fresh, key=lambda service: (not _states_a_number(service), service.key)):
            self._newest[service.key] = service
            self._admit(service)
            touched.add(service.key)
        return touched | self._retry()

    def release_unclaimed(self) -> set[ObjectKey]:
        """Take back what Services that never appeared hold; returns the Services that may have changed by that."""
        for key in self._grants.keys() - self._newest.keys():
            self._release(key)
        return self._retry()

    def _retry(self) -> set[ObjectKey]:
        """Try refused versions again as long as something becomes free; each round admits one or is the last."""
        touched: set[ObjectKey] = set()
        while self._released:
            self._released = False
            for key in sorted(self._refused):
                self._admit(self._newest[key])
                touched.add(key)
        return touched

    def _admit(self, service: Service) -> None:
        key = service.key
        held = self._grants.get(key) or no_grant(key)
        try:
            admission = admit(service, self._in_force.get(key), held, self._allocators)
        except NotAdmittedError as error:
            self._refused[key] = error.errors
            return
        self._refused.pop(key, None)
        self._in_force[key] = admission.service
        self._hold(key, admission.grant)
        self._released = self._released or admission.released

    def _hold(self, key: ObjectKey, grant: Grant) -> None:
        if self._grants.get(key, no_grant(key)) != grant:
            self._ledger = None
        if grant:
            self._grants[key] = grant
        else:
            self._grants.pop(key, None)

    def _release(self, key: ObjectKey) -> None:
        grant = self._grants.get(key)
        if grant is not None:
            self._allocators.release(grant)
            self._hold(key, no_grant(key))
            self._released = True


def _states_a_number(service: Service) -> bool:
    spec = service.spec
    addressed = bool(spec.cluster_ips) or bool(spec.cluster_ip)
    return addressed or bool(spec.health_check_node_port) or any(port.node_port for port in spec.ports)
