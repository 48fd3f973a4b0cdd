"""The pools of a worker, and the affinity that some of them share.

Invariants: a pool is built when its first client comes, and those that share its affinity with it, because an
endpoint's identity must be known to all of them or to none; an affinity group lives as long as a built pool that uses
it.
"""

from collections.abc import Iterator

from proxy.dataplane.balancer import Balancer
from proxy.dataplane.lazy_pool import LazyPool, decode_pool
from proxy.dataplane.messages import CountedPool, PoolMessage
from proxy.dataplane.resources import Resources
from proxy.dataplane.stickiness import Stickiness
from proxy.plan.frontend import Pool
from proxy.shared_counts.layout import PoolCell


class Pools:
    """By key. `put` and `remove` follow the messages."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._pools: dict[str, LazyPool] = {}
        self._sharing: dict[str, dict[str, LazyPool]] = {}
        self._stickiness: dict[str, Stickiness] = {}

    def __getitem__(self, key: str) -> LazyPool:
        return self._pools[key]

    def __len__(self) -> int:
        return len(self._pools)

    def built(self) -> Iterator[Balancer]:
        """The balancers of those that any client has used."""
        return (pool.built for pool in self._pools.values() if pool.built is not None)

    def put(self, message: PoolMessage) -> Pool | None:
        """Take over a pool that is new or another; gives the version that was in use, if one was."""
        pool = self._pools.get(message.key)
        if pool is None:
            pool = self._pools[message.key] = LazyPool(message, self._build)
        else:
            self._stop_sharing(pool)
        before = pool.built.pool if pool.built is not None else None
        if pool.built is None:
            pool.take(message)
        else:
            pool.usable, pool.affinity_key = message.usable, message.affinity_key
            self._rebuild(pool.built, decode_pool(message.body))
        if pool.affinity_key:
            self._sharing.setdefault(pool.affinity_key, {})[pool.key] = pool
            if pool.affinity_key in self._stickiness:
                pool.balancer()
        return before

    def remove(self, key: str) -> None:
        """The pool is gone; flows that are open keep their upstream."""
        pool = self._pools.pop(key)
        self._stop_sharing(pool)
        if pool.built is not None:
            pool.built.dissolve()
            if pool.built.pool.affinity_seconds:
                self._leave(pool.built.pool.affinity_key, key)

    def _build(self, counted: CountedPool) -> Balancer:
        """The first client of the pool has come, or of one that shares its affinity."""
        resources, pool = self._resources, counted.pool
        is_first = bool(pool.affinity_seconds) and pool.affinity_key not in self._stickiness
        balancer = Balancer(pool, self._stickiness_of(pool), resources.random, counted.rows, resources.column)
        if is_first:
            for other in self._sharing[pool.affinity_key].values():
                if other.key != pool.key:
                    other.balancer()
        return balancer

    def _rebuild(self, balancer: Balancer, counted: CountedPool) -> None:
        before, pool = balancer.pool, counted.pool
        stickiness = self._stickiness_of(pool)
        balancer.update(pool, stickiness, counted.rows)
        if before.affinity_seconds and (stickiness is None or before.affinity_key != pool.affinity_key):
            self._leave(before.affinity_key, pool.key)

    def _stickiness_of(self, pool: Pool) -> Stickiness | None:
        if not pool.affinity_seconds:
            return None
        stickiness = self._stickiness.get(pool.affinity_key)
        if stickiness is None:
            key = pool.affinity_key
            stickiness = Stickiness(self._resources.affinity, pool.affinity_seconds, lambda: self._evicted(key))
            self._stickiness[key] = stickiness
        stickiness.set_timeout(pool.affinity_seconds)
        stickiness.pools.add(pool.key)
        return stickiness

    def _evicted(self, affinity_key: str) -> None:
        """A client of these pools was forgotten. It may have come through any of them, and one counts for all: they
        are of one Service port."""
        for key in self._stickiness[affinity_key].pools:
            balancer = self._pools[key].built
            if balancer is not None:
                balancer.tally.counts[PoolCell.AFFINITY_EVICTIONS] += 1
                balancer.tally.touch()
                return

    def _leave(self, affinity_key: str, pool_key: str) -> None:
        stickiness = self._stickiness[affinity_key]
        stickiness.pools.discard(pool_key)
        if not stickiness.pools:
            self._stickiness.pop(affinity_key).close()

    def _stop_sharing(self, pool: LazyPool) -> None:
        if pool.affinity_key:
            sharing = self._sharing[pool.affinity_key]
            del sharing[pool.key]
            if not sharing:
                del self._sharing[pool.affinity_key]
