"""Carries what the programs count into the shared table, where metrics, page and commands look for it.

The shortcut has a column of its own in the table, as if it were one more worker. Invariants: what a program has counted
is carried once; a pool in which nothing happens costs a comparison of memory.
"""

from collections.abc import Iterator
from typing import NamedTuple

from proxy.dataplane.close_reason import CloseReason
from proxy.shared_counts.column import Column, Tally
from proxy.shared_counts.layout import ENDPOINTS, POOLS, EndpointCell, PoolCell
from proxy.shortcut.layout import CountField, PoolField, Rule
from proxy.shortcut.maps import Maps
from proxy.shortcut.tables import PoolEntry, Tables
from proxy.workers.row_ledger import RowLedger

_POOLS_COMPARED = 64
"""So many pools are compared at once."""

_COUNTING_RULES = (Rule.TWO_DRAWS, Rule.LEAST, Rule.DELAY, Rule.IDLE_FIRST, Rule.FIRST_FREE)


class _Counts(NamedTuple):
    """What the programs have counted of an endpoint; the order is that of CountField."""

    open: int = 0
    opened: int = 0
    failed: int = 0
    to_client: int = 0
    from_client: int = 0
    closed: int = 0


class _Carried:
    """What was carried of one endpoint, and where to."""

    __slots__ = ("endpoint", "generation", "pool", "seen")

    def __init__(self, generation: int, pool: Tally, endpoint: Tally) -> None:
        self.generation = generation
        self.pool = pool
        self.endpoint = endpoint
        self.seen = _Counts()

    def carry(self, now: _Counts) -> None:
        """Add what is new."""
        before, self.seen = self.seen, now
        self.endpoint.gauge(EndpointCell.ACTIVE, now.open)
        if now == before:
            return
        failed = now.failed - before.failed
        taken = now.opened - before.opened - failed
        received, sent = now.from_client - before.from_client, now.to_client - before.to_client
        if failed or taken > 0:
            self.endpoint.gauge(EndpointCell.FAILING, int(taken <= 0))
        counts = self.endpoint.counts
        counts[EndpointCell.OPENED] += taken
        counts[EndpointCell.FAILED] += failed
        counts[EndpointCell.RECEIVED_BYTES] += received
        counts[EndpointCell.SENT_BYTES] += sent
        self.endpoint.touch()
        counts = self.pool.counts
        counts[PoolCell.OPENED] += taken
        counts[PoolCell.FAILED + CloseReason.CONNECT_REFUSED.number] += failed
        counts[PoolCell.CLOSED + CloseReason.KERNEL_CLOSED.number] += now.closed - before.closed
        counts[PoolCell.RECEIVED_BYTES] += received
        counts[PoolCell.SENT_BYTES] += sent
        self.pool.touch()


class TrafficWriter:
    """`column` is the shortcut's own."""

    def __init__(self, maps: Maps, tables: Tables, ledger: RowLedger, column: Column) -> None:
        self._maps = maps
        self._tables = tables
        self._ledger = ledger
        self._column = column
        self._pools: dict[str, tuple[bytes, Tally]] = {}
        self._carried: dict[int, _Carried] = {}
        self._open: set[int] = set()
        self._counting: set[str] = set()
        self._before = b""

    def carry(self) -> None:
        """Write what changed since the last call."""
        for entry in self._changed():
            self._carry_pool(entry, self._counted(entry))
            if self._rule(entry) in _COUNTING_RULES:
                self._counting.add(entry.pool.key)
        for key in tuple(self._counting):
            self._tell_elsewhere(key)
        # Some of these are of endpoints that have left.
        for number in tuple(self._open):
            self._carry_endpoint(number)
        self._column.flush()

    def forget(self, key: str) -> None:
        """The pool has gone; what is open there is carried to its end."""
        self._pools.pop(key, None)

    def _changed(self) -> Iterator[PoolEntry]:
        """The pools that somebody chose from since the last call, or that are new."""
        size = _POOLS_COMPARED * self._maps.pools.size
        before, self._before = (
            self._before,
            bytes(self._maps.pools.bytes[: self._tables.pools_used * self._maps.pools.size]),
        )
        if before == self._before:
            return
        for start in range(0, len(self._before), size):
            if before[start : start + size] != self._before[start : start + size]:
                first = start // self._maps.pools.size
                yield from filter(None, map(self._tables.pool_at, range(first, first + _POOLS_COMPARED)))

    def _tell_elsewhere(self, key: str) -> None:
        """Let the rules that compare connections know what the workers have open."""
        entry = self._tables.entries.get(key)
        if entry is None or self._rule(entry) not in _COUNTING_RULES:
            self._counting.discard(key)
            return
        for number in entry.endpoints.values():
            if number in self._carried:
                self._carry_endpoint(number)

    def _counted(self, entry: PoolEntry) -> bytes:
        """The counts of a pool, from REFUSED to MISSES: other bytes mean that somebody chose from it."""
        start = entry.number * self._maps.pools.size
        return bytes(self._maps.pools.bytes[start + PoolField.REFUSED : start + PoolField.AFFINITY_GROUP])

    def _carry_pool(self, entry: PoolEntry, counted: bytes) -> None:
        rows = self._ledger.rows_of(entry.pool.key)
        if rows is None:
            return
        before, tally = self._pools.get(entry.pool.key, (bytes(len(counted)), None))
        if tally is None or tally.row != rows.pool:
            tally = self._column.tally(POOLS, rows.pool)
            tally.gauge(PoolCell.USED, 1)
        _carry_choices(tally, memoryview(before).cast("Q"), memoryview(counted).cast("Q"))
        self._pools[entry.pool.key] = counted, tally
        for target, row in zip(entry.pool.targets, rows.endpoints, strict=False):
            number = entry.endpoints.get((target.address, target.port))
            if number is not None:
                self._bind(number, tally, row)
                self._carry_endpoint(number)

    def _bind(self, number: int, pool: Tally, row: int) -> None:
        """Let what is counted under the number go to these rows from now on."""
        generation = self._maps.counts.halves[self._maps.counts.half(number, CountField.GENERATION)]
        known = self._carried.get(number)
        if known is None or known.generation != generation or known.endpoint.row != row or known.pool is not pool:
            carried = _Carried(generation, pool, self._column.tally(ENDPOINTS, row))
            if known is not None and known.generation == generation:
                known.endpoint.gauge(EndpointCell.ACTIVE, 0)
                carried.seen = known.seen
            self._carried[number] = carried

    def _carry_endpoint(self, number: int) -> None:
        carried = self._carried[number]
        words, at = self._maps.counts.words, self._maps.counts.word(number, 0)
        now = _Counts(*words[at : at + len(_Counts._fields)])
        carried.carry(now)
        tally = carried.endpoint
        words[at + CountField.ELSEWHERE // 8] = sum(
            tally.cells[first + EndpointCell.ACTIVE] for first in tally.elsewhere
        )
        if now.open:
            self._open.add(number)
        else:
            self._open.discard(number)

    def _rule(self, entry: PoolEntry) -> int:
        return self._maps.pools.bytes[entry.number * self._maps.pools.size + PoolField.RULE]


def _carry_choices(tally: Tally, before: "memoryview[int]", now: "memoryview[int]") -> None:
    """Refusals, and hits and misses of the affinity table: the words 0, 2 and 3 of what is compared."""
    tally.counts[PoolCell.FAILED + CloseReason.NO_ENDPOINTS.number] += now[0] - before[0]
    tally.counts[PoolCell.AFFINITY_HITS] += now[2] - before[2]
    tally.counts[PoolCell.AFFINITY_MISSES] += now[3] - before[3]
    tally.touch()
