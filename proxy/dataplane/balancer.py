"""Balancer: the live form of a pool. It chooses an upstream for a flow and keeps what the choice depends on.

No sockets are touched here. Invariants: an update keeps every upstream that stays, with its counters and its place in
the scheduler; a choice is counted before it is dialled, so that a burst of accepts does not pick one minimum many times
over; a scheduler that compares counts compares those of all workers.
"""

from collections.abc import Collection, Iterable
from random import Random
from typing import Final

from proxy.affinity import AffinityGroup
from proxy.dataplane.addresses import client_number, fold
from proxy.dataplane.foresight import Binding, Candidate, Foresight
from proxy.dataplane.messages import PoolRows
from proxy.dataplane.stickiness import Place, Stickiness
from proxy.dataplane.upstream import UdpUpstream, Upstream
from proxy.plan.frontend import Pool, Target
from proxy.schedulers.backend import Backend
from proxy.schedulers.registry import create
from proxy.schedulers.scheduler import KeyedBy
from proxy.shared_counts.column import NO_ROW, Column, Tally, private_tally
from proxy.shared_counts.layout import ENDPOINTS, POOLS, EndpointCell, PoolCell

# Counted with every connection; a member of an enumeration is a slower constant.
_OPENED: Final = int(PoolCell.OPENED)
_OPENED_THERE: Final = int(EndpointCell.OPENED)
_HITS: Final = int(PoolCell.AFFINITY_HITS)
_MISSES: Final = int(PoolCell.AFFINITY_MISSES)
_BY_NOTHING: Final = KeyedBy.NOTHING
_BY_SOURCE: Final = KeyedBy.SOURCE


class Balancer:
    """Chooses among one pool's upstreams. One instance a pool and worker, which counts in `column` if there is one.

    `usable` is whether any upstream may get new flows; without one, clients are refused before they are accepted.
    `by_destination` is whether a choice depends on the address that the client asked for. `tally` counts for the pool
    as a whole.
    """

    def __init__(
        self,
        pool: Pool,
        stickiness: Stickiness | None,
        random: Random,
        rows: PoolRows = PoolRows(),  # noqa: B008 - immutable
        column: Column | None = None,
    ) -> None:
        self._column = column
        self._random = random
        self._stickiness = stickiness
        self._schedule(pool)
        self._upstreams: dict[Place, Upstream] = {}
        self._retired: dict[Place, Upstream] = {}
        self._by_identity: dict[int, Upstream] = {}
        self._failed: dict[Upstream, None] = {}
        self._drained: frozenset[Backend] = frozenset()
        self._looks_elsewhere = False
        self._picks_at_once = False
        self.pool = pool
        self.rows = rows
        self.tally = self._tally_of_pool(rows)
        self.usable = False
        self._adopt(pool.targets, rows)

    @property
    def upstreams(self) -> Collection[Upstream]:
        """The upstreams of the pool as it is now, those of weight 0 included."""
        return self._upstreams.values()

    @property
    def affinity_group(self) -> AffinityGroup | None:
        """The clients that are bound to endpoints of this pool, where it has affinity."""
        return None if self._stickiness is None else self._stickiness.group

    def update(
        self,
        pool: Pool,
        stickiness: Stickiness | None,
        rows: PoolRows = PoolRows(),  # noqa: B008 - immutable
    ) -> None:
        """Take a newer version of the pool."""
        before, self.pool = self.pool, pool
        rows_before, self.rows = self.rows, rows
        if rows.pool != rows_before.pool:
            self.tally = self._tally_of_pool(rows)
        self._stick(stickiness)
        rescheduled = pool.scheduler != before.scheduler
        if rescheduled:
            self._schedule(pool)
        if rescheduled or pool.targets != before.targets or rows != rows_before:
            self._adopt(pool.targets, rows)

    def dissolve(self) -> None:
        """The pool is gone: let go of the identities; flows that are open keep their upstream."""
        self._stick(None)

    def has(self, upstream: Upstream) -> bool:
        """Whether the upstream is an endpoint of the pool as it is now."""
        return self._upstreams.get((upstream.address, upstream.port)) is upstream

    def serves(self, upstream: Upstream) -> bool:
        """Whether flows to the upstream may go on: it is an endpoint of the pool, or leaving it but still serving."""
        place = (upstream.address, upstream.port)
        return place in self._upstreams or place in self.pool.draining

    def choose(self, client: str, destination: str, now: float, tried: Collection[Upstream] = ()) -> Upstream | None:
        """The upstream for a new flow, counted as active, or None where there is none left to try.

        `client` and `destination` are addresses without port; `tried` are upstreams that already failed this flow.
        """
        if self._stickiness is not None:
            upstream = self._sticky(self._stickiness, client, destination, now, tried)
        elif self._picks_at_once and not tried and not self._failed:
            picked = self._scheduler.pick(0, now)
            assert picked is None or isinstance(picked, Upstream)
            upstream = picked
        else:
            upstream = self._scheduled(client, destination, now, tried)
        if upstream is not None:
            upstream.began()
            if tried:
                self.tally.counts[PoolCell.RETRIES] += 1
                self.tally.touch()
        return upstream

    def foresee(self, client: str, destination: str, now: float) -> Foresight:
        """What `choose` would do for the next flow, and why; changes nothing.

        `client` may be empty: then the answer is that of a client which is not bound, as far as it does not depend
        on its address.
        """
        failing = {upstream: upstream.failed_until - now for upstream in self._failed if upstream.failed_until > now}
        binding = self._binding(client, now, failing) if client else None
        if binding is not None and not binding.ignored:
            candidates: tuple[Candidate, ...] = (Candidate(binding.endpoint, binding.pod, 1.0),)
        else:
            if self._looks_elsewhere:
                self._look_elsewhere()
            candidates = self._candidates(client, destination, now, failing)
        return Foresight(
            scheduler=self.pool.scheduler,
            keyed_by=self._scheduler.keyed_by.value,
            binding=binding,
            failing={str(upstream): seconds for upstream, seconds in failing.items()},
            candidates=candidates,
        )

    def refused(self, upstream: Upstream, client: str, now: float) -> None:
        """The upstream did not take a flow: prefer others for a while and unbind this client from it."""
        upstream.ended()
        upstream.failed(now)
        if self.has(upstream):
            if upstream not in self._failed:
                self.tally.counts[PoolCell.EJECTIONS] += 1
                self.tally.touch()
            self._failed[upstream] = None
        if self._stickiness is not None:
            number = client_number(client)
            # Another connection of the client may have found it a better one meanwhile.
            bound = self._stickiness.peek(number, now)
            if bound is not None and bound.backend_id == upstream.identity:
                self._stickiness.forget(number)

    def opened(self, upstream: Upstream) -> None:
        """Count a flow that the upstream took, as far as anybody knows."""
        tally, there = self.tally, upstream.tally
        tally.counts[_OPENED] += 1
        there.counts[_OPENED_THERE] += 1
        if not tally.touched:
            tally.touch()
        if not there.touched:
            there.touch()

    def forgive(self, upstream: Upstream) -> None:
        """The upstream has taken a flow: whatever it did before counts no more."""
        upstream.forgive()
        self._failed.pop(upstream, None)

    def _schedule(self, pool: Pool) -> None:
        self._scheduler = create(pool.scheduler, self._random)
        self.by_destination = self._scheduler.keyed_by is KeyedBy.DESTINATION

    def _sticky(
        self, stickiness: Stickiness, client: str, destination: str, now: float, tried: Collection[Upstream]
    ) -> Upstream | None:
        number = client_number(client)
        upstream = self._by_identity.get(stickiness.lookup(number, now))
        tally = self.tally
        tally.touch()
        if upstream is None or upstream.weight <= 0 or upstream in tried or upstream in self._avoided(now, tried):
            tally.counts[_MISSES] += 1
            upstream = self._scheduled(client, destination, now, tried)
            if upstream is not None:
                stickiness.store(number, upstream.identity, now)
        else:
            tally.counts[_HITS] += 1
        return upstream

    def _scheduled(self, client: str, destination: str, now: float, tried: Collection[Upstream]) -> Upstream | None:
        scheduler = self._scheduler
        if self._looks_elsewhere:
            self._look_elsewhere()
        key, keyed_by = 0, scheduler.keyed_by
        if keyed_by is not _BY_NOTHING:
            key = fold(client_number(client if keyed_by is _BY_SOURCE else destination))
        if tried or self._failed or self._drained:
            chosen = scheduler.pick(key, now, self._avoided(now, tried))
            if chosen is None and self._failed:
                # Never eject all: when only failing ones are left, they are tried again.
                chosen = scheduler.pick(key, now, self._drained.union(tried))
        else:
            chosen = scheduler.pick(key, now)
        assert chosen is None or isinstance(chosen, Upstream)
        return chosen

    def _binding(self, client: str, now: float, failing: Collection[Upstream]) -> Binding | None:
        if self._stickiness is None:
            return None
        entry = self._stickiness.peek(client_number(client), now)
        upstream = self._by_identity.get(entry.backend_id) if entry is not None else None
        if entry is None or upstream is None:
            return None
        ignored = "drained" if upstream.weight <= 0 else "refused of late" if upstream in failing else ""
        return Binding(str(upstream), upstream.pod, entry.seconds_left, ignored)

    def _candidates(
        self, client: str, destination: str, now: float, failing: Collection[Upstream]
    ) -> tuple[Candidate, ...]:
        """As `_scheduled`, on a copy."""
        scheduler = self._scheduler
        if scheduler.keyed_by is KeyedBy.SOURCE and not client:
            return ()
        key = 0
        if scheduler.keyed_by is not KeyedBy.NOTHING:
            key = fold(client_number(client if scheduler.keyed_by is KeyedBy.SOURCE else destination))
        chances = scheduler.foresee(key, now, self._drained.union(failing))
        if not chances and failing:
            chances = scheduler.foresee(key, now, self._drained)
        return tuple(
            Candidate(str(upstream), upstream.pod, chance)
            for upstream, chance in chances
            if isinstance(upstream, Upstream)
        )

    def _avoided(self, now: float, tried: Collection[Upstream]) -> frozenset[Backend]:
        """What the choice must look past: the drained, those that failed of late and those this flow tried."""
        for upstream in [upstream for upstream in self._failed if upstream.failed_until <= now]:
            del self._failed[upstream]
        return self._drained.union(self._failed, tried)

    def _adopt(self, targets: tuple[Target, ...], rows: PoolRows) -> None:
        before, self._upstreams = self._upstreams, {}
        lingers = self._scheduler.uses_inactive and self.pool.protocol == "TCP"
        for target, row in zip(targets, rows.endpoints or (NO_ROW,) * len(targets), strict=True):
            place = (target.address, target.port)
            upstream = before.pop(place, None) or self._join(target, place, row)
            upstream.take(target)
            upstream.lingers = lingers
            if upstream.tally.row != row and self._column is not None:
                upstream.count_in(self._column.tally(ENDPOINTS, row))
            self._upstreams[place] = upstream
        self._retire(before.values())
        self._drained = frozenset(upstream for upstream in self._upstreams.values() if upstream.weight <= 0)
        self.usable = len(self._drained) < len(self._upstreams)
        self._scheduler.update(list(self._upstreams.values()))
        self._looks_elsewhere = self._scheduler.uses_counts and self._column is not None and not self._column.is_alone
        # Nothing but this flow's own failures can stand between the scheduler and its choice.
        self._picks_at_once = (
            not self._looks_elsewhere and not self._drained and self._scheduler.keyed_by is KeyedBy.NOTHING
        )

    def _look_elsewhere(self) -> None:
        """Bring what the other workers have open up to date."""
        for upstream in self._upstreams.values():
            upstream.look_elsewhere()

    def _tally_of_pool(self, rows: PoolRows) -> Tally:
        tally = private_tally(POOLS) if self._column is None else self._column.tally(POOLS, rows.pool)
        tally.gauge(PoolCell.USED, 1)
        return tally

    def _join(self, target: Target, place: Place, row: int) -> Upstream:
        """A new upstream, or the one that left with flows still open, its counters with it."""
        upstream = self._retired.pop(place, None)
        if upstream is None:
            kind = UdpUpstream if self.pool.protocol == "UDP" else Upstream
            upstream = kind(target, None if self._column is None else self._column.tally(ENDPOINTS, row))
        if self._stickiness is not None:
            self._identify(upstream, self._stickiness)
        return upstream

    def _retire(self, leaving: Iterable[Upstream]) -> None:
        self._retired = {at: one for at, one in self._retired.items() if one.is_counted}
        for upstream in leaving:
            place = (upstream.address, upstream.port)
            self._failed.pop(upstream, None)
            if upstream.is_counted:
                self._retired[place] = upstream
            if self._stickiness is not None:
                del self._by_identity[upstream.identity]
                self._stickiness.leave(place)

    def _stick(self, stickiness: Stickiness | None) -> None:
        """Turn affinity on or off; entries of the one that was are worth nothing afterwards."""
        if stickiness is self._stickiness:
            return
        if self._stickiness is not None:
            for place in self._upstreams:
                self._stickiness.leave(place)
        self._stickiness = stickiness
        self._by_identity = {}
        if stickiness is not None:
            for upstream in self._upstreams.values():
                self._identify(upstream, stickiness)

    def _identify(self, upstream: Upstream, stickiness: Stickiness) -> None:
        upstream.identity = stickiness.join((upstream.address, upstream.port))
        self._by_identity[upstream.identity] = upstream
