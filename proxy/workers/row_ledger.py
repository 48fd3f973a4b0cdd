"""Which row of the shared table counts which pool and which endpoint of it. Pure.

Invariants: an endpoint that stays keeps its row, and one that comes back before its row was given to another gets the
same again, since flows may still be counted there; no row is given out twice before it was released; where there are no
rows left, things go uncounted and are served all the same; what a pool had counted outlives it for as long as others of
its Service port are there, so that the port's counters never go back (another policy, or a family less, is another set
of pools).
"""

import logging
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import add
from typing import NamedTuple

from proxy.dataplane.messages import PoolRows
from proxy.dataplane.stickiness import Place
from proxy.plan.frontend import Pool, ServicePort, Target
from proxy.shared_counts.column import NO_ROW
from proxy.shared_counts.layout import ENDPOINTS, POOLS, Region

_log = logging.getLogger(__name__)


class RowLease(NamedTuple):
    """A row that nothing new is counted in; what was there when it was left may still be open."""

    region: Region
    row: int


class _Rows:
    """The free rows of one region."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._free: list[int] = []
        self._next = NO_ROW + 1
        self._said = False

    def take(self) -> int:
        if self._free:
            return self._free.pop()
        if self._next < self._region.rows:
            self._next += 1
            return self._next - 1
        if not self._said:
            self._said = True
            _log.error(f"more than {self._region.rows - 1} {self._region.name}: those beyond are not counted")
        return NO_ROW

    def put_back(self, row: int) -> None:
        self._free.append(row)


class _Holding(NamedTuple):
    """A pool's rows: its own, and those of its targets."""

    row: int
    port: ServicePort
    targets: tuple[Target, ...]
    endpoints: "array[int]"


class RowLedger:
    """Gives out rows with `hold` and takes them back with `drop`; they are free again when they are `release`d."""

    def __init__(self, pools: Region = POOLS, endpoints: Region = ENDPOINTS) -> None:
        self._pool_rows = _Rows(pools)
        self._endpoint_rows = _Rows(endpoints)
        self._pools = pools
        self._endpoints = endpoints
        self._held: dict[str, _Holding] = {}
        self._left: dict[RowLease, tuple[str, Place] | None] = {}
        self._returning: dict[str, dict[Place, int]] = {}
        self._parts: dict[RowLease, tuple[RowLease, ...]] = {}
        self._pools_of: Counter[ServicePort] = Counter()
        self._departing: dict[RowLease, ServicePort] = {}
        self._departed: dict[ServicePort, Sequence[int]] = {}

    def hold(self, pool: Pool) -> PoolRows:
        """The rows of a pool that is new or another."""
        held = self._held.get(pool.key)
        row = held.row if held is not None else self._pool_rows.take()
        if held is None or pool.targets != held.targets:
            endpoints = self._endpoint_rows_of(pool, held)
            if held is None:
                self._pools_of[pool.service_port] += 1
            self._held[pool.key] = held = _Holding(row, pool.service_port, pool.targets, endpoints)
        return PoolRows(held.row, tuple(held.endpoints))

    def drop(self, key: str) -> None:
        """The pool is gone. Should it come back, it is another one."""
        held = self._held.pop(key)
        rows = (*self._returning.pop(key, {}).values(), *held.endpoints)
        parts = tuple(RowLease(self._endpoints, row) for row in rows)
        for part in parts:
            self._leave(part, None)
        whole = RowLease(self._pools, held.row)
        self._leave(whole, None)
        self._parts[whole] = parts
        self._pools_of[held.port] -= 1
        if not self._pools_of[held.port]:
            self._forget(held.port)
        elif held.row != NO_ROW:
            self._departing[whole] = held.port

    def rows_of(self, key: str) -> PoolRows | None:
        """The rows of a pool as it was held last; None for one that is not held."""
        return _rows(self._held.get(key))

    def snapshot(self) -> Callable[[str], PoolRows | None]:
        """`rows_of` as of now, whatever becomes of the pools later."""
        held = self._held.copy()
        return lambda key: _rows(held.get(key))

    def endpoint_rows(self, key: str) -> Sequence[int]:
        """The rows of a pool's targets, in their order; none for a pool that is not held."""
        held = self._held.get(key)
        return held.endpoints if held is not None else ()

    def left_of(self, key: str) -> tuple[int, ...]:
        """The rows of endpoints that left a pool which is held, and may still have flows."""
        return tuple(self._returning.get(key, {}).values())

    def held(self) -> Iterator[tuple[str, int]]:
        """Every pool that is held, with its own row."""
        return ((key, held.row) for key, held in self._held.items())

    def departing(self) -> Iterator[tuple[ServicePort, PoolRows]]:
        """The pools that are gone and whose rows are not released, where others of the port are there; with the rows of
        the endpoints that may still have flows."""
        for whole, port in self._departing.items():
            yield port, PoolRows(whole.row, tuple(part.row for part in self._parts[whole] if part in self._left))

    def departed(self) -> Mapping[ServicePort, Sequence[int]]:
        """What pools had counted whose rows were released, by cell, where others of the port are there."""
        return self._departed

    def left(self) -> tuple[RowLease, ...]:
        """The rows that were left and not released."""
        return tuple(self._left)

    def retire(self, lease: RowLease) -> bool:
        """The row shall never be resumed; gives whether that can be: it is left, and of a pool no endpoint is left,
        since flows count for both."""
        if lease not in self._left or any(part in self._left for part in self._parts.get(lease, ())):
            return False
        origin = self._left[lease]
        if origin is not None:
            self._stay_away(*origin)
            self._left[lease] = None
        return True

    def is_departing(self, lease: RowLease) -> bool:
        """Whether what was counted in the row is still asked for."""
        return lease in self._departing

    def release(self, lease: RowLease, cells: Sequence[int] = ()) -> None:
        """Nobody counts in a retired row any more, and it was wiped; these were its cells, if they are asked for."""
        del self._left[lease]
        self._parts.pop(lease, None)
        port = self._departing.pop(lease, None)
        if port is not None:
            before = self._departed.get(port)
            self._departed[port] = list(map(add, before, cells)) if before is not None else cells
        (self._pool_rows if lease.region is self._pools else self._endpoint_rows).put_back(lease.row)

    def _forget(self, port: ServicePort) -> None:
        """The last pool of the port is gone. Should it come back, it is another one."""
        del self._pools_of[port]
        self._departed.pop(port, None)
        for whole in [whole for whole, of in self._departing.items() if of == port]:
            del self._departing[whole]

    def _endpoint_rows_of(self, pool: Pool, held: _Holding | None) -> "array[int]":
        before = _by_place(held) if held is not None else {}
        rows = array("I")
        for target in pool.targets:
            place = (target.address, target.port)
            row = before.pop(place, None)
            rows.append(self._take_for(pool.key, place) if row is None else row)
        for place, row in before.items():
            self._leave(RowLease(self._endpoints, row), (pool.key, place))
        return rows

    def _take_for(self, key: str, place: Place) -> int:
        row = self._returning.get(key, {}).get(place)
        if row is None:
            return self._endpoint_rows.take()
        self._stay_away(key, place)
        del self._left[RowLease(self._endpoints, row)]
        return row

    def _leave(self, lease: RowLease, origin: tuple[str, Place] | None) -> None:
        if lease.row == NO_ROW:
            return
        self._left[lease] = origin
        if origin is not None:
            key, place = origin
            self._returning.setdefault(key, {})[place] = lease.row

    def _stay_away(self, key: str, place: Place) -> None:
        """The endpoint's row is not kept for its return any longer."""
        returning = self._returning[key]
        del returning[place]
        if not returning:
            del self._returning[key]


def _rows(held: _Holding | None) -> PoolRows | None:
    return None if held is None else PoolRows(held.row, tuple(held.endpoints))


def _by_place(held: _Holding) -> dict[Place, int]:
    return {(target.address, target.port): row for target, row in zip(held.targets, held.endpoints, strict=True)}
