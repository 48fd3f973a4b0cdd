"""Finds the Services whose endpoints lead to a place, so that a new frontend touches those alone.

Invariant: `leading_to` names every Service that has an endpoint at the frontend's place, and few others.
"""

from collections.abc import Iterable, Iterator

from proxy.model.changes import ObjectKey
from proxy.plan.frontend import FrontendKey
from proxy.plan.led_back import Place
from proxy.plan.own_places import WILDCARDS, OwnPlaces
from proxy.plan.service_plan import ServicePlan
from proxy.plan.user_index import UserIndex


class EndpointUsers:
    """An index of the endpoints that Services use or had to leave out.

    An endpoint elsewhere is found by its address. One at a local address is found by its place, and by its port for
    a frontend on the wildcard: thousands of Services may have endpoints on 127.0.0.1.
    """

    def __init__(self, own: OwnPlaces) -> None:
        self._own = own
        self._users: UserIndex[str | int | Place] = UserIndex()
        self._beside_frontends: set[ObjectKey] = set()

    def replace(self, service: ObjectKey, before: ServicePlan, after: ServicePlan) -> None:
        """Turn the plan `before` of one Service into `after`."""
        wanted = self._used(after)
        self._users.replace(service, self._used(before), wanted)
        if any(isinstance(used, str) and self._own.has(used) for used in wanted):
            self._beside_frontends.add(service)
        else:
            self._beside_frontends.discard(service)

    def leading_to(self, keys: Iterable[FrontendKey]) -> set[ObjectKey]:
        """The Services that have an endpoint where one of these frontends is."""
        found: set[ObjectKey] = set()
        for key in keys:
            if key.address in WILDCARDS:
                # An address with a frontend is local too, and takes what the wildcard's port is sent.
                found.update(self._users.of(key.port), self._beside_frontends)
            elif self._own.is_local(key.address):
                found.update(self._users.of((key.address, key.port)))
            else:
                found.update(self._users.of(key.address))
        return found

    def _used(self, plan: ServicePlan) -> set[str | int | Place]:
        used: set[str | int | Place] = set()
        for address, port in set(_places(plan)):
            if self._own.is_local(address):
                used.update((port, (address, port)))
            else:
                used.add(address)
        return used


def _places(plan: ServicePlan) -> Iterator[Place]:
    for pool in plan.pools:
        for target in pool.targets:
            yield target.address, target.port
        yield from pool.draining
    for led_back in plan.led_back:
        yield from led_back.places
