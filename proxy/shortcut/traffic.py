"""Carries what the programs count into the shared table, where metrics, page and commands look for it.

The shortcut has a column of its own in the table, as if it were one more worker. Invariants: what a program has counted
is carried once; a pool in which nothing happens costs a comparison of memory.
"""

from collections.abc import Callable, Iterator

from proxy.dataplane.close_reason import CloseReason
from proxy.shared_counts.column import Column, Tally
from proxy.shared_counts.layout import ENDPOINTS, POOLS, EndpointCell, PoolCell
from proxy.shortcut.endpoint_traffic import EndpointCounts, EndpointTraffic
from proxy.shortcut.layout import CountField, PoolField, Rule
from proxy.shortcut.maps import Maps
from proxy.shortcut.tables import PoolEntry, Tables
from proxy.workers.row_ledger import RowLedger

_POOLS_COMPARED = 64
"""So many pools are compared at once."""

_COUNTING_RULES = (Rule.TWO_DRAWS, Rule.LEAST, Rule.DELAY, Rule.IDLE_FIRST, Rule.FIRST_FREE)


_COMPARE_INACTIVE = (Rule.TWO_DRAWS, Rule.LEAST)

# Seconds that a TCP connection counts after its end; net/netfilter/ipvs/ip_vs_proto_tcp.c, TIME_WAIT and CLOSE.
_AFTER_FIN = 120.0
_AFTER_RESET = 10.0


class TrafficWriter:
    """`column` is the shortcut's own, `clock` gives monotonic seconds."""

    def __init__(
        self, maps: Maps, tables: Tables, ledger: RowLedger, column: Column, clock: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._maps = maps
        self._tables = tables
        self._ledger = ledger
        self._column = column
        self._pools: dict[str, tuple[bytes, Tally]] = {}
        self._carried: dict[int, EndpointTraffic] = {}
        self._open: set[int] = set()
        self._counting: set[str] = set()
        self._over: dict[int, dict[EndpointTraffic, int]] = {}
        self._before = b""

    def carry(self) -> None:
        """Write what changed since the last call."""
        self._forget_what_is_over()
        for entry in self._changed():
            self._carry_pool(entry, self._counted(entry))
            if self._rule(entry) in _COUNTING_RULES:
                self._counting.add(entry.pool.key)
        for key in tuple(self._counting):
            self._tell_elsewhere(key)
        # What has left is no longer among the endpoints of its pool.
        for number in {*self._open, *filter(self._carried.__contains__, self._tables.departing)}:
            self._carry_endpoint(number)
        self._column.flush()

    def forget(self, key: str) -> None:
        """The pool has gone; what is open there is carried to its end."""
        self._pools.pop(key, None)

    def is_counted(self, number: int) -> bool:
        """Whether anything is open under an endpoint's number, or over and still counted."""
        carried = self._carried.get(number)
        if carried is not None and carried.generation == self._generation(number):
            return carried.live or carried.forgotten < carried.seen.closed
        return EndpointCounts(*self._read(number)).live > 0

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
                carried = self._bind(number, tally, row, entry.pool.protocol == "UDP")
                carried.lingers = self._lingers(entry)
                self._carry_endpoint(number)

    def _bind(self, number: int, pool: Tally, row: int, is_udp: bool) -> EndpointTraffic:
        """Let what is counted under the number go to these rows from now on."""
        generation = self._generation(number)
        known = self._carried.get(number)
        if known is None or known.generation != generation:
            known = self._carried[number] = EndpointTraffic(
                number, generation, pool, self._column.tally(ENDPOINTS, row), is_udp
            )
        elif known.endpoint.row != row or known.pool is not pool:
            known.move(pool, self._column.tally(ENDPOINTS, row))
        return known

    def _lingers(self, entry: PoolEntry) -> tuple[float, float] | None:
        if self._rule(entry) not in _COMPARE_INACTIVE:
            return None
        return (entry.pool.idle_timeout,) * 2 if entry.pool.protocol == "UDP" else (_AFTER_FIN, _AFTER_RESET)

    def _carry_endpoint(self, number: int) -> None:
        carried = self._carried[number]
        closed, resets = carried.carry(EndpointCounts(*self._read(number)))
        if carried.lingers is None:
            carried.forgotten += closed
        elif closed or resets:
            self._linger(carried, carried.lingers[0], closed - resets)
            self._linger(carried, carried.lingers[1], resets)
        carried.show()
        self._tell_programs(carried)
        if carried.live:
            self._open.add(number)
        else:
            self._open.discard(number)

    def _read(self, number: int) -> "memoryview[int]":
        at = self._maps.counts.word(number, 0)
        return self._maps.counts.words[at : at + len(EndpointCounts._fields)]

    def _generation(self, number: int) -> int:
        return self._maps.counts.halves[self._maps.counts.half(number, CountField.GENERATION)]

    def _linger(self, carried: EndpointTraffic, seconds: float, connections: int) -> None:
        over = self._over.setdefault(int(self._clock() + seconds), {})
        over[carried] = over.get(carried, 0) + connections

    def _forget_what_is_over(self) -> None:
        now = self._clock()
        for second in [each for each in self._over if each <= now]:
            for carried, connections in self._over.pop(second).items():
                carried.forgotten += connections
                carried.show()
                if self._carried.get(carried.number) is carried:
                    self._tell_programs(carried)

    def _tell_programs(self, carried: EndpointTraffic) -> None:
        """What the relay has open, and how much of what is over no longer counts."""
        tally = carried.endpoint
        cells, elsewhere = tally.cells, tally.elsewhere
        active = sum(cells[first + EndpointCell.ACTIVE] for first in elsewhere)
        inactive = sum(cells[first + EndpointCell.INACTIVE] + cells[first + EndpointCell.ENDED] for first in elsewhere)
        if carried.is_udp:
            active, inactive = 0, active + inactive
        words, at = self._maps.counts.words, self._maps.counts.word(carried.number, 0)
        words[at + CountField.ELSEWHERE // 8] = active
        words[at + CountField.INACTIVE_ELSEWHERE // 8] = (inactive - carried.forgotten) & 0xFFFFFFFFFFFFFFFF

    def _rule(self, entry: PoolEntry) -> int:
        return self._maps.pools.bytes[entry.number * self._maps.pools.size + PoolField.RULE]


def _carry_choices(tally: Tally, before: "memoryview[int]", now: "memoryview[int]") -> None:
    """Refusals, and hits and misses of the affinity table: the words 0, 2 and 3 of what is compared."""
    tally.counts[PoolCell.FAILED + CloseReason.NO_ENDPOINTS.number] += now[0] - before[0]
    tally.counts[PoolCell.AFFINITY_HITS] += now[2] - before[2]
    tally.counts[PoolCell.AFFINITY_MISSES] += now[3] - before[3]
    tally.touch()
