"""In words, how one Service's part of the plan differs from what it was.

Invariants: a pure function of the two, of which equal ones differ in nothing; a line says what happened without its
kind.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from proxy.plan.addresses import with_port
from proxy.plan.frontend import Frontend, FrontendKey, Pool, Target

PartKey = str | FrontendKey
"""A pool's key or a frontend's."""

Difference = tuple[str, str]
"""A kind of change and its line."""

Item = TypeVar("Item")

_MOST_NAMED = 4


class ServiceParts:
    """The pools and frontends of one Service; false where there is none."""

    def __init__(
        self, pools: Mapping[str, Pool] | None = None, frontends: Mapping[FrontendKey, Frontend] | None = None
    ) -> None:
        self.pools = dict(pools or {})
        self.frontends = dict(frontends or {})

    def __bool__(self) -> bool:
        return bool(self.pools or self.frontends)

    def copy(self) -> "ServiceParts":
        return ServiceParts(self.pools, self.frontends)

    def put(self, part: Pool | Frontend) -> None:
        if isinstance(part, Pool):
            self.pools[part.key] = part
        else:
            self.frontends[part.key] = part

    def remove(self, key: PartKey) -> None:
        if isinstance(key, str):
            del self.pools[key]
        else:
            del self.frontends[key]


def describe(before: ServiceParts, after: ServiceParts) -> Iterator[Difference]:
    """What is different, each line once however many pools it holds for (two families, two traffic policies)."""
    if before and not after:
        yield "ServiceRemoved", "no longer served"
    elif after and not before:
        yield "ServiceAdded", f"served on {_listed(_frontend, [*after.frontends.values()])}"
    else:
        found = [*_addresses(before, after)]
        for key, pool in after.pools.items():
            if key in before.pools:
                found += _pool_differences(before.pools[key], pool)
        yield from dict.fromkeys(found)


def _addresses(before: ServiceParts, after: ServiceParts) -> Iterator[Difference]:
    added = [each for key, each in after.frontends.items() if key not in before.frontends]
    removed = [each for key, each in before.frontends.items() if key not in after.frontends]
    changed = [each for key, each in after.frontends.items() if before.frontends.get(key, each) != each]
    if removed:
        yield "AddressRemoved", f"removed {_listed(_frontend, removed)}"
    if added:
        yield "AddressAdded", f"added {_listed(_frontend, added)}"
    if changed:
        yield "AddressChanged", f"changed {_listed(_frontend, changed)}: traffic policy or source ranges"


def _pool_differences(before: Pool, after: Pool) -> Iterator[Difference]:
    port = f"port {after.port_name or after.protocol}: "
    if before.scheduler != after.scheduler:
        yield "SchedulerChanged", f"{port}scheduler {before.scheduler} → {after.scheduler}"
    if before.affinity_seconds != after.affinity_seconds:
        yield "AffinityChanged", f"{port}affinity {_affinity(before)} → {_affinity(after)}"
    limits = ("connect_timeout", "idle_timeout")
    if any(getattr(before, name) != getattr(after, name) for name in limits):
        yield "TimeoutChanged", f"{port}timeouts connect {after.connect_timeout:g}s, idle {_limit(after.idle_timeout)}"
    if before.targets != after.targets:
        yield from _target_differences(port, before.targets, after.targets)


def _target_differences(port: str, before: Iterable[Target], after: Iterable[Target]) -> Iterator[Difference]:
    old = {(target.address, target.port): target for target in before}
    new = {(target.address, target.port): target for target in after}
    left = [old[place] for place in old if place not in new]
    joined = [new[place] for place in new if place not in old]
    weighed = [
        f"{_target(new[at])}: {old[at].weight} → {new[at].weight}"
        for at in old.keys() & new.keys()
        if old[at].weight != new[at].weight
    ]
    if left:
        yield "EndpointRemoved", f"{port}removed {_listed(_target, left)}"
    if joined:
        yield "EndpointAdded", f"{port}added {_listed(_target, joined)}"
    if weighed:
        yield "WeightChanged", f"{port}weight of {_listed(str, sorted(weighed))}"


def _listed(text: Callable[[Item], str], items: Sequence[Item]) -> str:
    more = len(items) - _MOST_NAMED
    named = ", ".join(map(text, items[:_MOST_NAMED]))
    return f"{named} and {more} more" if more > 0 else named or "no address"


def _frontend(frontend: Frontend) -> str:
    protocol, address, port = frontend.key
    return f"{frontend.kind} {with_port(address, port)}/{protocol}"


def _target(target: Target) -> str:
    place = with_port(target.address, target.port)
    return f"{target.pod} ({place})" if target.pod else place


def _affinity(pool: Pool) -> str:
    return f"ClientIP {pool.affinity_seconds}s" if pool.affinity_seconds else "None"


def _limit(seconds: float) -> str:
    return f"{seconds:g}s" if seconds else "never"
