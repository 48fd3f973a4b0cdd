"""The Services in force, the versions that are not, and why.

Invariants: an accepted version stays in force until a better one or a removal arrives. What a version states comes
before what another was given. A refused version is tried again whenever something is released. Every grant is reserved
in the allocators, those of Services not seen yet included.
"""

from collections.abc import Iterable, Mapping, Set
from types import MappingProxyType

from proxy.cluster.admission import Admission, admit
from proxy.cluster.allocators import Allocators
from proxy.cluster.giving_way import Resource, held_by, moves_for, stated_by
from proxy.cluster.ledger import Grant, Ledger, no_grant
from proxy.cluster.not_admitted import NotAdmittedError
from proxy.cluster.restoration import restored
from proxy.model.changes import ObjectKey
from proxy.model.problem import FieldError
from proxy.model.service import Service
from proxy.model.service_address_validation import is_headless
from proxy.model.service_update import carry_over, validate_service_update

_ROUNDS = 20
"""How often a group of Services that exchange their numbers is tried without those that spoil it."""


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
        touched |= self._retry()
        if self._may_be_in_the_way(fresh):
            touched |= self._give_way() | self._retry()
        return touched

    def release_unclaimed(self) -> set[ObjectKey]:
        """Take back what Services that never appeared hold; returns the Services that may have changed by that."""
        for key in self._grants.keys() - self._newest.keys():
            self._release(key)
        return self._retry() | self._give_way() | self._retry()

    def _retry(self) -> set[ObjectKey]:
        """Try refused versions again as long as something becomes free; each round admits one or is the last."""
        touched: set[ObjectKey] = set()
        while self._released:
            self._released = False
            for key in sorted(self._refused):
                self._admit(self._newest[key])
                touched.add(key)
        return touched

    def _may_be_in_the_way(self, fresh: Iterable[Service]) -> bool:
        """Whether one of these was refused, or holds what a refused one states."""
        wanted = frozenset().union(*(stated_by(self._newest[key]) for key in self._refused))
        held = (held_by(self._grants[service.key]) for service in fresh if service.key in self._grants)
        return bool(wanted) and (
            any(each.key in self._refused for each in fresh) or not all(map(wanted.isdisjoint, held))
        )

    def _give_way(self) -> set[ObjectKey]:
        """Let Services move whose numbers others state; returns the Services that may have changed."""
        fixed: set[ObjectKey] = set()
        for _ in range(_ROUNDS):
            moves = moves_for(self._refused, self._newest, self._grants, fixed)
            if not moves:
                break
            failed = self._admit_together(moves)
            if failed is None:
                return set(moves)
            fixed.add(failed)
        return set()

    def _admit_together(self, moves: Mapping[ObjectKey, Set[Resource]]) -> ObjectKey | None:
        """Admit all of `moves`, or leave everything as it was and name the Service that cannot come in."""
        before = {key: self._grants.get(key) or no_grant(key) for key in moves}
        kept = {key: grant.except_for(moves[key]) for key, grant in before.items()}
        for key, grant in before.items():
            self._allocators.release(grant.without(kept[key]))
        admitted: dict[ObjectKey, Admission] = {}
        for key in sorted(moves, key=lambda key: (not _states_a_number(self._newest[key]), key)):
            try:
                admitted[key] = admit(self._newest[key], None, kept[key], self._allocators)
            except NotAdmittedError:
                for other in moves:
                    self._allocators.release(admitted[other].grant if other in admitted else kept[other])
                for grant in before.values():
                    self._allocators.hold(grant)
                return key
        for key, admission in admitted.items():
            self._accept(key, admission)
            self._released = True
        return None

    def _admit(self, service: Service) -> None:
        key = service.key
        held = self._grants.get(key) or no_grant(key)
        try:
            admission = admit(service, self._version_to_update(service), held, self._allocators)
        except NotAdmittedError as error:
            self._refused[key] = error.errors
        else:
            self._accept(key, admission)

    def _version_to_update(self, service: Service) -> Service | None:
        """The version in force, or None where `service` changes what the API lets nobody change: it is made anew.

        So it is where a Service was headless by its manifest and is no more; the API would keep it headless.
        """
        old = self._in_force.get(service.key)
        if old is None or (is_headless(old.spec) and not is_headless(service.spec)):
            return None
        return None if validate_service_update(old, carry_over(old, service)) else old

    def _accept(self, key: ObjectKey, admission: Admission) -> None:
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
