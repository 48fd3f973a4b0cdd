"""The planner: holds the objects of one node's view and turns batches of changes into deltas.

Imports `model` and this room. Invariant: `pools` and `frontends` are what planning every Service afresh would give,
and the sum of the deltas returned so far. Only who owns a contested frontend depends on the past.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from proxy.model.changes import Changes, ObjectKey, PodWeight
from proxy.model.problem import Problem
from proxy.model.service import Service
from proxy.plan.addresses import with_port
from proxy.plan.annotations import SCHEDULER
from proxy.plan.delta import Tables, difference
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool
from proxy.plan.frontend_claims import FrontendClaims
from proxy.plan.health_check import HealthCheck
from proxy.plan.pod_users import PodUsers
from proxy.plan.service_plan import ServicePlan, plan_service
from proxy.plan.settings import PlanSettings
from proxy.plan.slice_index import SliceIndex

_NOTHING = ServicePlan()


class Planner:
    """Plans incrementally: a change is worked out for the Services it touches alone.

    `services`, `pools` and `frontends` are live, read-only views.
    """

    def __init__(self, settings: PlanSettings) -> None:
        self.settings = settings
        self._services: dict[ObjectKey, Service] = {}
        self._slices = SliceIndex()
        self._weights: dict[ObjectKey, int] = {}
        self._zone = ""
        self._plans: dict[ObjectKey, ServicePlan] = {}
        self._pod_users: PodUsers | None = None
        self._claims = FrontendClaims()
        self._faulty: dict[ObjectKey, tuple[Problem, ...]] = {}
        self._problems: tuple[Problem, ...] | None = ()
        self._checked: dict[ObjectKey, tuple[HealthCheck, ...]] = {}
        self._health_checks: tuple[HealthCheck, ...] | None = ()
        self._pools: dict[str, Pool] = {}
        self._frontends: dict[FrontendKey, Frontend] = {}
        self.services: Mapping[ObjectKey, Service] = MappingProxyType(self._services)
        self.pools: Mapping[str, Pool] = MappingProxyType(self._pools)
        self.frontends: Mapping[FrontendKey, Frontend] = MappingProxyType(self._frontends)

    def apply(self, changes: Changes) -> Delta:
        """Take one batch and return what it changes; `changes.problems` is the caller's to show.

        Of Services that claim one frontend for the first time in the same batch, the oldest gets it.
        """
        touched = self._absorb(changes)
        return self._install({key: self._plan(key) for key in sorted(touched, key=self._age)})

    def reconfigure(self, settings: PlanSettings) -> Delta:
        """Plan every Service anew with other settings; returns what that changes."""
        if settings == self.settings:
            return Delta()
        self.settings = settings
        return self._install({key: self._plan(key) for key in sorted(self._services, key=self._age)})

    def plan_of(self, service: ObjectKey) -> ServicePlan:
        """What a Service asks for, contested frontends included; empty for a Service that is not known."""
        return self._plans.get(service, _NOTHING)

    def problems(self) -> tuple[Problem, ...]:
        """Everything wrong with the Services as planned, sorted; the same tuple while nothing of that changes."""
        if self._problems is None:
            found = [problem for problems in self._faulty.values() for problem in problems]
            found += [_refusal(claim, owner) for claim, owner in self._claims.refused()]
            self._problems = tuple(sorted(found, key=str))
        return self._problems

    def health_checks(self) -> tuple[HealthCheck, ...]:
        """Every healthCheckNodePort, sorted by Service; the same tuple while nothing of that changes."""
        if self._health_checks is None:
            self._health_checks = tuple(check for _, checks in sorted(self._checked.items()) for check in checks)
        return self._health_checks

    def _absorb(self, changes: Changes) -> set[ObjectKey]:
        """Store the objects of a batch; returns the Services to plan again."""
        touched = {key for key in changes.removed_services if self._services.pop(key, None) is not None}
        for service in changes.services:
            if self._services.get(service.key) != service:
                self._services[service.key] = service
                touched.add(service.key)
        for key in changes.removed_slices:
            touched |= self._slices.remove(key)
        for endpoint_slice in changes.slices:
            touched |= self._slices.put(endpoint_slice)
        touched |= self._weigh(changes.pod_weights)
        if changes.node is not None and changes.node.zone != self._zone:
            self._zone = changes.node.zone
            touched.update(self._services)
        return touched

    def _weigh(self, pod_weights: Iterable[PodWeight]) -> set[ObjectKey]:
        touched: set[ObjectKey] = set()
        for each in pod_weights:
            pod = (each.namespace, each.name)
            if each.weight == self._weights.get(pod):
                continue
            touched.update(self._users_of(pod))
            if each.weight is None:
                del self._weights[pod]
            else:
                self._weights[pod] = each.weight
        return touched

    def _users_of(self, pod: ObjectKey) -> Iterable[ObjectKey]:
        """The Services that use a Pod. Most clusters have no weights, and 100,000 Pods are a second and 30 MB: so
        nobody looks before the first weight comes."""
        if self._pod_users is None:
            self._pod_users = PodUsers()
            for service, plan in self._plans.items():
                self._pod_users.replace(service, (), plan.pools)
        return self._pod_users.of(pod)

    def _age(self, key: ObjectKey) -> tuple[str, ObjectKey]:
        service = self._services.get(key)
        return service.metadata.creation_timestamp if service else "", key

    def _plan(self, key: ObjectKey) -> ServicePlan:
        service = self._services.get(key)
        if service is None:
            return _NOTHING
        return plan_service(service, self._slices.of(key), self._weights, self._zone, self.settings)

    def _install(self, plans: Mapping[ObjectKey, ServicePlan]) -> Delta:
        """Put new plans in the place of the old ones, in the order in which they may claim frontends."""
        old_plans = [self.plan_of(key) for key in plans]
        claimed = {frontend.key for plan in (*old_plans, *plans.values()) for frontend in plan.frontends}
        before = self._tables(old_plans, claimed)
        contested = self._claims.contested
        for key, plan in plans.items():
            self._replace(key, plan)
        if contested or self._claims.contested:
            self._problems = None
        delta = difference(before, self._tables(plans.values(), claimed))
        self._pools.update((pool.key, pool) for pool in delta.pools)
        self._frontends.update((frontend.key, frontend) for frontend in delta.frontends)
        for frontend_key in delta.removed_frontends:
            del self._frontends[frontend_key]
        for pool_key in delta.removed_pools:
            del self._pools[pool_key]
        return delta

    def _tables(self, plans: Iterable[ServicePlan], claimed: Iterable[FrontendKey]) -> Tables:
        """The pools of some plans, and the owners of some frontends as of now."""
        owners = {key: owner for key in claimed if (owner := self._claims.owner(key)) is not None}
        return Tables({pool.key: pool for plan in plans for pool in plan.pools}, owners)

    def _replace(self, key: ObjectKey, plan: ServicePlan) -> None:
        old = self.plan_of(key)
        self._claims.replace("/".join(key), old.frontends, plan.frontends)
        if self._pod_users is not None:
            self._pod_users.replace(key, old.pools, plan.pools)
        self._note(key, plan)
        self._check(key, plan.health_checks)
        if key in self._services:
            self._plans[key] = plan
        else:
            self._plans.pop(key, None)

    def _note(self, key: ObjectKey, plan: ServicePlan) -> None:
        """Remember what is wrong with one Service."""
        subject = f"Service {key[0]}/{key[1]}"
        found = tuple(Problem(str(error), subject, reason=_event_reason(error.field)) for error in plan.problems)
        before = self._faulty.pop(key, ())
        if found:
            self._faulty[key] = found
        if found != before:
            self._problems = None

    def _check(self, key: ObjectKey, checks: tuple[HealthCheck, ...]) -> None:
        before = self._checked.pop(key, ())
        if checks:
            self._checked[key] = checks
        if checks != before:
            self._health_checks = None


def _refusal(claim: Frontend, owner: Frontend) -> Problem:
    protocol, address, port = claim.key
    message = f"port {with_port(address, port)}/{protocol} is already served for {owner.service}"
    return Problem(message, subject=f"Service {claim.service}", reason="PortAlreadyServed")


def _event_reason(field: str) -> str:
    if not field.startswith("metadata.annotations"):
        return "UnsupportedProtocol"
    return "UnknownScheduler" if SCHEDULER in field else "InvalidAnnotation"
