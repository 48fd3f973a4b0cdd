"""nftables as a path: it takes the plan's deltas and keeps our tables in the kernel.

Invariant: the tables hold what the plan says, or `refusal` says that they do not. Somebody else's edit is mended the
next time that `tend` is called.
"""

import logging
from collections.abc import Callable, Iterable, Mapping

from proxy.logs import fields
from proxy.nftables import eligibility
from proxy.nftables.eligibility import Circumstances
from proxy.nftables.family import Family
from proxy.nftables.foreign_changes import ForeignChanges
from proxy.nftables.holdings import Change, Holdings
from proxy.nftables.rule_table import RuleTable
from proxy.nftables.shares import Share, share_of
from proxy.paths.path import Path
from proxy.plan.frontend import Delta, Frontend, FrontendKey, Pool

_RETRY = 5.0
"""Seconds between two attempts to write tables that the kernel refused."""

_log = logging.getLogger(__name__)


class NftablesPath:
    """`clock` gives monotonic seconds. `keep_rules` leaves the tables in force when the process ends."""

    def __init__(
        self,
        table: RuleTable,
        foreign: ForeignChanges,
        circumstances: Circumstances,
        clock: Callable[[], float],
        *,
        keep_rules: bool,
    ) -> None:
        self._table = table
        self._foreign = foreign
        self._circumstances = circumstances
        self._clock = clock
        self._keep_rules = keep_rules
        self._holdings = Holdings()
        self._pools: dict[str, Pool] = {}
        self._frontends: dict[FrontendKey, Frontend] = {}
        self._by_pool: dict[str, dict[FrontendKey, None]] = {}
        self._begun = False
        self._closed = False
        self._failure = ""
        self._retry_at = 0.0
        self.mended = 0

    @property
    def path(self) -> Path:
        return Path.NFTABLES

    @property
    def holdings(self) -> Holdings:
        """What the tables shall hold."""
        return self._holdings

    def apply(self, delta: Delta) -> None:
        """Take a delta over, in one batch. The first one is the whole plan: tables that are there are adopted."""
        shares = self._shares(self._take(delta))
        changes = self._holdings.update(shares)
        if not self._begun:
            self._begun = True
            self._attempt(self._adopt)
        elif self._failure:
            self._attempt(self._write)
        elif changes:
            try:
                self._table.change(changes)
            except OSError as error:
                self._mend(f"a change was refused: {error.strerror}")
        self._forget_departed(changes)

    def refusal(self, frontend: Frontend, pool: Pool) -> str:
        reason = eligibility.refusal(frontend, pool, self._circumstances)
        if reason or not self._failure:
            return reason or ("" if self._begun else "it has not begun")
        return f"the kernel refuses its tables: {self._failure}"

    def tend(self) -> None:
        """Look for what others did to the tables, and mend it; try again what failed."""
        if self._closed or not self._begun:
            return
        if self._failure:
            if self._clock() >= self._retry_at:
                self._attempt(self._write)
        elif culprit := self._culprit():
            self._mend(f"{culprit} changed them")

    def close(self) -> None:
        """Let new clients meet the listeners, unless the rules are kept. Established connections go on: they need the
        hooks, so the tables stay until `remove`."""
        if self._closed:
            return
        self._closed = True
        self._foreign.close()
        if not self._keep_rules and self._begun:
            changes = self._holdings.update(dict.fromkeys(self._frontends))
            try:
                self._table.change(changes)
            except OSError as error:
                _log.error(f"nftables: the tables cannot be emptied: {error.strerror}")

    def remove(self) -> None:
        """Take the tables away at the very end, unless the rules are kept. Connections through them end."""
        self.close()
        try:
            if not self._keep_rules:
                self._table.remove()
        except OSError as error:
            _log.error(f"nftables: the tables cannot be removed: {error.strerror}; svcproxy cleanup does it")
        finally:
            self._table.close()

    def _forget_departed(self, changes: Mapping[Family, Change]) -> None:
        try:
            self._table.forget_departed(changes, self._holdings)
        except OSError as error:
            _log.warning(f"nftables: UDP flows to endpoints that left cannot be ended: {error.strerror}")

    def _take(self, delta: Delta) -> Iterable[FrontendKey]:
        """Remember the plan; gives the frontends that are touched."""
        touched: dict[FrontendKey, None] = {}
        for key in delta.removed_frontends:
            self._forget(key)
            touched[key] = None
        for pool in delta.pools:
            self._pools[pool.key] = pool
            touched |= self._by_pool.get(pool.key, {})
        for frontend in delta.frontends:
            self._forget(frontend.key)
            self._frontends[frontend.key] = frontend
            self._by_pool.setdefault(frontend.pool, {})[frontend.key] = None
            touched[frontend.key] = None
        for pool_key in delta.removed_pools:
            self._pools.pop(pool_key, None)
            self._by_pool.pop(pool_key, None)
        return touched

    def _forget(self, key: FrontendKey) -> None:
        frontend = self._frontends.pop(key, None)
        if frontend is not None:
            self._by_pool[frontend.pool].pop(key, None)

    def _shares(self, keys: Iterable[FrontendKey]) -> dict[FrontendKey, Share | None]:
        return {key: self._share(self._frontends.get(key)) for key in keys}

    def _share(self, frontend: Frontend | None) -> Share | None:
        if frontend is None:
            return None
        pool = self._pools[frontend.pool]
        if eligibility.refusal(frontend, pool, self._circumstances):
            return None
        return share_of(frontend, pool)

    def _adopt(self) -> None:
        adopted = self._table.adopt(self._holdings)
        self._foreign.begin()
        words = "nftables adopted its tables" if adopted else "nftables made its tables"
        _log.info(words, extra=fields(frontends=len(self._holdings)))

    def _write(self) -> None:
        self._table.write(self._holdings)
        self._foreign.begin()

    def _mend(self, why: str) -> None:
        self.mended += 1
        _log.warning(f"nftables: our tables are written anew: {why}", extra=fields(mended=self.mended))
        self._attempt(self._write)

    def _attempt(self, act: Callable[[], None]) -> None:
        try:
            act()
        except OSError as error:
            if not self._failure:
                _log.error(f"nftables: {error.strerror}; the relay serves everybody")
            self._failure = error.strerror or str(error)
            self._retry_at = self._clock() + _RETRY
        else:
            self._failure = ""

    def _culprit(self) -> str:
        try:
            return self._foreign.found(self._is_intact)
        except OSError as error:
            return f"perhaps somebody (changes cannot be heard: {error.strerror})"

    def _is_intact(self) -> bool:
        for family in self._table.families:
            chains, elements = self._table.read(family)
            if chains != self._holdings.chains(family).keys() or elements != self._holdings.contents(family):
                return False
        return True
