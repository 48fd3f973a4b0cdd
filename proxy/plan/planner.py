"""The planner: holds the objects of one node's view and turns batches of changes into deltas.

Invariant: `pools` and `frontends` are what planning every Service afresh would give,
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
from proxy.plan.endpoint_users import EndpointUsers
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool
from proxy.plan.frontend_claims import FrontendClaims
from proxy.plan.health_check import HealthCheck
from proxy.plan.own_places import OwnPlaces
from proxy.plan.service_plan import ServicePlan, plan_service
from proxy.plan.settings import PlanSettings
from proxy.plan.slice_index import SliceIndex
from proxy.plan.user_index import UserIndex

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
        self._pod_ranges: tuple[str, ...] = ()
        self._plans: dict[ObjectKey, ServicePlan] = {}
        self._pod_users: UserIndex[ObjectKey] | None = None
        self._claims = FrontendClaims()
        self._faulty: dict[ObjectKey, tuple[Problem, ...]] = {}
        self._problems: tuple[Problem, ...] | None = ()
        self._checked: dict[ObjectKey, tuple[HealthCheck, ...]] = {}
        self._health_checks: tuple[HealthCheck, ...] | None = ()
        self._pools: dict[str, Pool] = {}
        self._frontends: dict[FrontendKey, Frontend] = {}
        self._own_sources = self._sources()
        self._own, self._endpoints = self._look_around()
        self.services: Mapping[ObjectKey, Service] = MappingProxyType(self._services)
        self.pools: Mapping[str, Pool] = MappingProxyType(self._pools)
        self.frontends: Mapping[FrontendKey, Frontend] = MappingProxyType(self._frontends)

    def apply(self, changes: Changes) -> Delta:
        """Take one batch and return what it changes; `changes.problems` is the caller's to show.

        Of Services that claim one frontend for the first time in the same batch, the oldest gets it.
        """
        return self._install(self._absorb(changes))

    def reconfigure(self, settings: PlanSettings) -> Delta:
        """Plan every Service anew with other settings; returns what that changes."""
        if settings == self.settings:
            return Delta()
        self.settings = settings
        self._own_sources = self._sources()
        self._own, self._endpoints = self._look_around()
        return self._install(self._services)

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
        if changes.node is not None and (changes.node.zone, changes.node.pod_ranges) != (self._zone, self._pod_ranges):
            self._zone, self._pod_ranges = changes.node.zone, changes.node.pod_ranges
            self._own_sources = self._sources()
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
            self._pod_users = UserIndex()
            for service, plan in self._plans.items():
                self._pod_users.replace(service, frozenset(), _pods(service, plan))
        return self._pod_users.of(pod)

    def _age(self, key: ObjectKey) -> tuple[str, ObjectKey]:
        service = self._services.get(key)
        return service.metadata.creation_timestamp if service else "", key

    def _plan(self, key: ObjectKey) -> ServicePlan:
        service = self._services.get(key)
        if service is None:
            return _NOTHING
        return plan_service(
            service, self._slices.of(key), self._weights, self._zone, self.settings, self._own, self._own_sources
        )

    def _sources(self) -> tuple[str, ...]:
        """The CIDRs that clients of this node come from: its own addresses and those of its Pods."""
        return tuple(sorted({*self.settings.local_addresses.sources(), *self._pod_ranges}))

    def _look_around(self) -> tuple[OwnPlaces, EndpointUsers]:
        """What is where by the settings of now, and who has endpoints there."""
        settings = self.settings
        own = OwnPlaces(settings.own_listeners, settings.local_addresses.lookup(), self._claims.owner)
        for frontend_key in self._frontends:
            own.add(frontend_key)
        endpoints = EndpointUsers(own)
        for service, plan in self._plans.items():
            endpoints.replace(service, _NOTHING, plan)
        return own, endpoints

    def _install(self, services: Iterable[ObjectKey]) -> Delta:
        """Plan some Services again, and then those whose endpoints lead to what these took or left."""
        contested = self._claims.contested
        before = self._replan(services)
        moved = self._moved({frontend.key for key, old in before.items() for frontend in self._both(key, old)})
        led = self._endpoints.leading_to(moved)
        before = {**self._replan(led), **before}
        if contested or self._claims.contested:
            self._problems = None
        return self._take(self._difference(before))

    def _replan(self, services: Iterable[ObjectKey]) -> dict[ObjectKey, ServicePlan]:
        """Put new plans in the place of the old ones, which are returned; the oldest Service may claim first."""
        before = {}
        for key, plan in [(key, self._plan(key)) for key in sorted(services, key=self._age)]:
            before[key] = self.plan_of(key)
            self._replace(key, plan)
        return before

    def _both(self, key: ObjectKey, old: ServicePlan) -> Iterable[Frontend]:
        return (*old.frontends, *self.plan_of(key).frontends)

    def _moved(self, keys: Iterable[FrontendKey]) -> list[FrontendKey]:
        """The frontends that are another's than before, or new, or gone."""
        moved = []
        for key in keys:
            before, now = self._frontends.get(key), self._claims.owner(key)
            if before is None and now is not None:
                self._own.add(key)
            elif before is not None and now is None:
                self._own.remove(key)
            elif before is None or now is None or (before.service, before.kind) == (now.service, now.kind):
                continue
            moved.append(key)
        return moved

    def _difference(self, before: Mapping[ObjectKey, ServicePlan]) -> Delta:
        """What other plans than these `before` change in the tables."""
        now = [self.plan_of(key) for key in before]
        claimed = {frontend.key for key, old in before.items() for frontend in self._both(key, old)}
        owners = {key: owner for key in claimed if (owner := self._claims.owner(key)) is not None}
        return difference(
            Tables(
                {pool.key: pool for plan in before.values() for pool in plan.pools},
                {key: self._frontends[key] for key in claimed if key in self._frontends},
            ),
            Tables({pool.key: pool for plan in now for pool in plan.pools}, owners),
        )

    def _take(self, delta: Delta) -> Delta:
        """Bring the tables up to date."""
        self._pools.update((pool.key, pool) for pool in delta.pools)
        self._frontends.update((frontend.key, frontend) for frontend in delta.frontends)
        for frontend_key in delta.removed_frontends:
            del self._frontends[frontend_key]
        for pool_key in delta.removed_pools:
            del self._pools[pool_key]
        return delta

    def _replace(self, key: ObjectKey, plan: ServicePlan) -> None:
        old = self.plan_of(key)
        self._claims.replace("/".join(key), old.frontends, plan.frontends)
        if self._pod_users is not None:
            self._pod_users.replace(key, _pods(key, old), _pods(key, plan))
        self._endpoints.replace(key, old, plan)
        self._note(key, plan)
        self._check(key, plan.health_checks)
        if key in self._services:
            self._plans[key] = plan
        else:
            self._plans.pop(key, None)

    def _note(self, key: ObjectKey, plan: ServicePlan) -> None:
        """Remember what is wrong with one Service."""
        subject = f"Service {key[0]}/{key[1]}"
        found = (
            *(Problem(str(error), subject, reason=_event_reason(error.field)) for error in plan.problems),
            *(Problem(str(led_back), subject, reason="EndpointLeadsBack") for led_back in plan.led_back),
        )
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
        if field.startswith("spec.ports"):
            return "UnsupportedProtocol" if field.endswith(".protocol") else "PortNotFound"
        return "PortAlreadyServed"
    return "UnknownScheduler" if SCHEDULER in field else "InvalidAnnotation"


def _pods(service: ObjectKey, plan: ServicePlan) -> set[ObjectKey]:
    """The Pods that a Service uses."""
    return {(service[0], target.pod) for pool in plan.pools for target in pool.targets if target.pod}
