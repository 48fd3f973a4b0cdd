"""The shortcut as a path: it takes the plan's deltas and keeps the tables of the programs.

Invariant: a frontend is in the tables only while a listener stands behind it and the shortcut may serve it; whatever
goes wrong, the frontend is taken out and the listener has its clients.
"""

import logging
from collections.abc import Callable, Iterable

from proxy.bpf.bpf_error import BpfError
from proxy.logs import fields
from proxy.paths.path import Path
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool
from proxy.shared_counts.column import Column
from proxy.shortcut import eligibility
from proxy.shortcut.attachment import Attachment
from proxy.shortcut.eligibility import Circumstances
from proxy.shortcut.failures import Failures
from proxy.shortcut.layout import FAILURE_RING, ConfigField, CountField
from proxy.shortcut.local_addresses import LocalAddresses
from proxy.shortcut.maps import Maps
from proxy.shortcut.tables import Tables
from proxy.shortcut.traffic import TrafficWriter
from proxy.workers.row_ledger import RowLedger

_log = logging.getLogger(__name__)

_FULL = "the tables of the shortcut are full"


class SocketShortcut:
    """`clock` gives monotonic seconds, `local_addresses` the machine's own. `tend` must be called several times a
    second."""

    def __init__(
        self,
        maps: Maps,
        attachment: Attachment,
        circumstances: Circumstances,
        clock: Callable[[], float],
        local_addresses: Callable[[], Iterable[str]],
        ledger: RowLedger,
        column: Column,
    ) -> None:
        self._maps = maps
        self._local = LocalAddresses(maps, local_addresses)
        self._attachment = attachment
        self._circumstances = circumstances
        self._clock = clock
        self._tables = Tables(maps, clock)
        self._traffic = TrafficWriter(maps, self._tables, ledger, column, clock)
        self._failures = Failures()
        self._pools: dict[str, Pool] = {}
        self._frontends: dict[FrontendKey, Frontend] = {}
        self._by_pool: dict[str, dict[FrontendKey, None]] = {}
        self._served: set[FrontendKey] = set()
        self._full: set[str] = set()
        self._failures_read = 0
        self._tended = clock()
        self._attached = False

    @property
    def path(self) -> Path:
        return Path.SHORTCUT

    @property
    def tables(self) -> Tables:
        """What is in force, for whoever reads the counts."""
        return self._tables

    def apply(self, delta: Delta) -> None:
        """Take a delta over. The programs are attached with the first one, when the tables are complete."""
        touched: dict[FrontendKey, None] = {}
        for key in delta.removed_frontends:
            self._forget(key)
        for pool in delta.pools:
            self._pools[pool.key] = pool
            touched |= self._by_pool.get(pool.key, {})
        for frontend in map(eligibility.as_met_here, delta.frontends):
            self._want(frontend)
            touched[frontend.key] = None
        self._settle(pool.key for pool in delta.pools)
        self._serve(self._frontends[key] for key in touched)
        for pool_key in delta.removed_pools:
            self._drop_pool(pool_key)
        if not self._attached:
            self._local.refresh(self._clock())
            self._attach()

    def refusal(self, frontend: Frontend, pool: Pool) -> str:
        reason = eligibility.refusal(frontend, pool, self._circumstances)
        if reason:
            return reason
        if pool.key in self._full:
            return _FULL
        return "" if self._attached else "it is not attached"

    def tend(self) -> None:
        """Take endpoints out that refused connections, and back when their time is over; let numbers go that nobody
        uses; show the programs that somebody tends the tables."""
        now = self._clock()
        config = self._maps.config
        config.words[config.word(0, ConfigField.BEAT)] = int(now * 1e9)
        changed = dict.fromkeys(self._failures.over(self._tended, now))
        changed |= dict.fromkeys(self._read_failures(now))
        self._settle(changed)
        self._traffic.carry()
        self._tables.release_departed(self._traffic.is_counted)
        self._local.refresh(now)
        self._tended = now

    def close(self) -> None:
        self._attached = False
        self._attachment.close()
        self._maps.close()

    def _attach(self) -> None:
        try:
            self._attachment.attach()
        except BpfError as error:
            _log.error(f"shortcut: {error}; the relay serves everybody")
            return
        self._attached = True
        _log.info(
            "shortcut attached",
            extra=fields(cgroup=str(self._attachment.cgroup), frontends=len(self._served)),
        )

    def _want(self, frontend: Frontend) -> None:
        before = self._frontends.get(frontend.key)
        if before is not None:
            self._by_pool[before.pool].pop(frontend.key, None)
        self._frontends[frontend.key] = frontend
        self._by_pool.setdefault(frontend.pool, {})[frontend.key] = None

    def _forget(self, key: FrontendKey) -> None:
        frontend = self._frontends.pop(key, None)
        if frontend is not None:
            self._by_pool[frontend.pool].pop(key, None)
        self._withdraw(key)

    def _settle(self, pools: Iterable[str]) -> None:
        """Write the pools as they are now, without their failing endpoints."""
        now = self._clock()
        for key in pools:
            pool = self._pools.get(key)
            if pool is None or not self._may_serve(pool):
                continue
            self._failures.keep(key, ((target.address, target.port) for target in pool.targets))
            if self._tables.put_pool(pool, self._failures.of(key, now)):
                self._full.discard(key)
            elif key not in self._full:
                self._full.add(key)
                _log.warning(f"{_FULL}: the relay serves {pool.service}", extra=fields(service=pool.service))

    def _may_serve(self, pool: Pool) -> bool:
        """Whether a frontend of the pool could be served, so that the pool is worth its place."""
        frontends = (self._frontends[key] for key in self._by_pool.get(pool.key, ()))
        return any(not eligibility.refusal(each, pool, self._circumstances) for each in frontends)

    def _serve(self, frontends: Iterable[Frontend]) -> None:
        """Put those in that may be served, and take the others out."""
        serving = []
        for frontend in frontends:
            pool = self._pools[frontend.pool]
            if pool.key in self._tables.entries and not eligibility.refusal(frontend, pool, self._circumstances):
                serving.append(frontend)
            else:
                self._withdraw(frontend.key)
        try:
            self._tables.put_frontends(serving)
        except BpfError as error:
            _log.error(f"shortcut: {error}; the relay serves {len(serving)} frontends")
            for frontend in serving:
                self._withdraw(frontend.key, force=True)
            self._full.update(frontend.pool for frontend in serving)
            return
        self._served.update(frontend.key for frontend in serving)

    def _withdraw(self, key: FrontendKey, force: bool = False) -> None:
        if key in self._served or force:
            self._served.discard(key)
            self._tables.remove_frontend(key)

    def _drop_pool(self, key: str) -> None:
        self._pools.pop(key, None)
        self._by_pool.pop(key, None)
        self._full.discard(key)
        self._failures.keep(key, ())
        self._tables.remove_pool(key)
        self._traffic.forget(key)

    def _read_failures(self, now: float) -> Iterable[str]:
        """The pools whose endpoints refused since the last look."""
        config, ring, counts = self._maps.config, self._maps.failures, self._maps.counts
        total = config.words[config.word(0, ConfigField.FAILURES)]
        first = max(self._failures_read, total - FAILURE_RING)
        self._failures_read = total
        for number in range(first, total):
            entry = ring.words[number % FAILURE_RING]
            found = self._tables.endpoint(entry & 0xFFFFFFFF, entry >> 32)
            if found is not None:
                at = counts.word(entry & 0xFFFFFFFF, 0)
                taken = counts.words[at + CountField.OPENED // 8] - counts.words[at + CountField.FAILED // 8]
                self._failures.failed(found[0].key, found[1], taken, now)
                yield found[0].key
