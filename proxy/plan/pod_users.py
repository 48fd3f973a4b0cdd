"""Pod users: which Services have a Pod among their targets.

Imports `model` and the frontends of this room. Invariant: holds exactly the Pods named by the pools it was told of.
"""

from collections.abc import Iterable

from proxy.model.changes import ObjectKey
from proxy.plan.frontend import Pool


class PodUsers:
    """An index from Pods to Services, so that a new weight touches only those that use it."""

    def __init__(self) -> None:
        self._users: dict[ObjectKey, tuple[ObjectKey, ...]] = {}

    def replace(self, service: ObjectKey, before: Iterable[Pool], after: Iterable[Pool]) -> None:
        """Turn the pools `before` of one Service into `after`."""
        old, new = _pods(service, before), _pods(service, after)
        for pod in old - new:
            remaining = tuple(user for user in self._users.pop(pod) if user != service)
            if remaining:
                self._users[pod] = remaining
        for pod in new - old:
            self._users[pod] = (*self.of(pod), service)

    def of(self, pod: ObjectKey) -> tuple[ObjectKey, ...]:
        """The Services that use a Pod."""
        return self._users.get(pod, ())


def _pods(service: ObjectKey, pools: Iterable[Pool]) -> set[ObjectKey]:
    return {(service[0], target.pod) for pool in pools for target in pool.targets if target.pod}
