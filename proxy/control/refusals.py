"""Which pools have no endpoint that takes a flow, as the growth of their counts tells. Pure.

Invariant: an endpoint refuses from the first look in which it took no flow of those that it was offered, to the first
in which it took one and failed none. A look in which it did both changes nothing, since with the socket shortcut a
connect in progress counts as taken until it fails.
"""

from collections.abc import Iterator, Mapping, Sequence

from proxy.plan.frontend import Pool
from proxy.reports.live_frame import EndpointCounts

Place = tuple[str, int]
"""Address and port of an endpoint."""

_NOTHING = EndpointCounts()


class Refusals:
    """Remembers what every endpoint that somebody used has counted, and those that refuse now."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[Place, EndpointCounts]] = {}
        self._refusing: dict[str, set[Place]] = {}

    def observe(self, pool: Pool, counts: Mapping[int, EndpointCounts]) -> None:
        """Take the counts of a pool that changed, by the endpoint's place among the targets."""
        seen = self._seen.setdefault(pool.key, {})
        refusing = self._refusing.setdefault(pool.affinity_key, set())
        for number, now in counts.items():
            if number >= len(pool.targets):
                continue
            place = (pool.targets[number].address, pool.targets[number].port)
            before = seen.get(place, _NOTHING)
            seen[place] = now
            # A row that was given out anew counts from zero.
            _judge(refusing, place, _NOTHING if now.failed < before.failed else before, now, pool.protocol)

    def failing(self, pools: Mapping[str, Pool]) -> Iterator[Pool]:
        """The pools that have endpoints for new flows, every one of which refuses. What has left is forgotten."""
        self._forget(pools)
        for key in self._seen:
            refusing = self._refusing.get(pools[key].affinity_key)
            if refusing and _fails(pools[key], refusing):
                yield pools[key]

    def _forget(self, pools: Mapping[str, Pool]) -> None:
        """Let go of what is in no pool any more."""
        for key in [key for key in self._seen if key not in pools]:
            del self._seen[key]
        remaining: dict[str, set[Place]] = {}
        for key in self._seen:
            pool = pools[key]
            refusing = self._refusing.get(pool.affinity_key)
            if refusing:
                remaining.setdefault(pool.affinity_key, set()).update(refusing.intersection(_places(pool)))
        self._refusing = remaining


def _judge(refusing: set[Place], place: Place, before: EndpointCounts, now: EndpointCounts, protocol: str) -> None:
    failed = now.failed > before.failed
    if protocol == "UDP":
        # A refusal comes after the flow began, which counts it as taken as well; a reply is what tells.
        taken = now.sent > before.sent or now.opened - before.opened > now.failed - before.failed
    else:
        taken = now.opened > before.opened
    if failed and not taken:
        refusing.add(place)
    elif taken and not failed:
        refusing.discard(place)


def _places(pool: Pool) -> Sequence[Place]:
    return [(target.address, target.port) for target in pool.targets]


def _fails(pool: Pool, refusing: set[Place]) -> bool:
    usable = {(target.address, target.port) for target in pool.targets if target.weight > 0}
    return bool(usable) and usable <= refusing
