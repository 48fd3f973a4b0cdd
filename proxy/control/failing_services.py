"""Services whose endpoints all refuse their clients, as the counts of relay and shortcut show.

Invariant: what is said of a Service changes with a look alone, and `changed` is called whenever it does.
"""

import asyncio
from collections.abc import Callable, Generator, Iterator, Mapping
from types import MappingProxyType
from typing import Protocol

from proxy.admin.turns import Turns
from proxy.control.refusals import Refusals
from proxy.dataplane.close_reason import CloseReason
from proxy.model.problem import Problem
from proxy.plan.frontend import Pool
from proxy.reports.live_frame import EndpointCounts
from proxy.shared_counts.layout import POOLS, PoolCell
from proxy.shared_counts.table import SharedTable
from proxy.workers.row_ledger import RowLedger

INTERVAL = 1.0
"""Seconds between two looks."""

_REFUSED = PoolCell.FAILED + CloseReason.CONNECT_REFUSED.number
_SILENT = PoolCell.FAILED + CloseReason.CONNECT_TIMEOUT.number

Messages = Mapping[str, tuple[str, ...]]
"""What is said of each Service, by namespace/name."""


class ChangedCounts(Protocol):
    """Gives, in steps, the counts that changed since the last call, by pool and place."""

    def changed(self) -> Generator[None, None, dict[str, dict[int, EndpointCounts]]]: ...


class FailingServices:
    """`pools` are those of the plan, live. `reader`, `table` and `rows` know the counts."""

    def __init__(
        self,
        pools: Mapping[str, Pool],
        reader: ChangedCounts,
        table: SharedTable,
        rows: RowLedger,
        changed: Callable[[], None],
    ) -> None:
        self._pools = pools
        self._reader = reader
        self._table = table
        self._rows = rows
        self._changed = changed
        self._refusals = Refusals()
        self._causes: dict[str, tuple[int, int]] = {}
        self._silent: set[str] = set()
        self._messages: Messages = MappingProxyType({})

    def __len__(self) -> int:
        return len(self._messages)

    def of(self, service: str) -> tuple[str, ...]:
        """What is wrong with a Service (namespace/name), a line for each of its ports."""
        return self._messages.get(service, ())

    def problems(self) -> Iterator[Problem]:
        """The same for every Service."""
        for service, messages in self._messages.items():
            for message in messages:
                yield Problem(message, subject=f"Service {service}", reason="EndpointsRefuse")

    async def watch(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            await Turns().do(self.look())

    def look(self) -> Generator[None, None, None]:
        """Look once, in steps between which others may have their turn."""
        changed = yield from self._reader.changed()
        for key, counts in changed.items():
            pool = self._pools.get(key)
            if pool is not None:
                self._refusals.observe(pool, counts)
            yield
        messages = self._say()
        if messages != self._messages:
            self._messages = messages
            self._changed()

    def _say(self) -> Messages:
        failing = list(self._refusals.failing(self._pools))
        self._learn_causes(failing)
        longest: dict[tuple[str, str], Pool] = {}
        for pool in failing:
            identity = (pool.service, pool.affinity_key)
            longest[identity] = max(longest.get(identity, pool), pool, key=lambda each: len(each.targets))
        found: dict[str, dict[str, None]] = {}
        for (service, _), pool in sorted(longest.items()):
            found.setdefault(service, {})[self._message(pool)] = None
        return {service: tuple(messages) for service, messages in found.items()}

    def _learn_causes(self, failing: list[Pool]) -> None:
        """Whether the clients of these pools met a refusal of late, or silence."""
        causes = {}
        for pool in failing:
            rows = self._rows.rows_of(pool.key)
            cells = self._table.totals(POOLS, rows.pool) if rows is not None else (0,) * POOLS.width
            now = causes[pool.key] = (cells[_REFUSED], cells[_SILENT])
            before = self._causes.get(pool.key, (0, 0))
            refused, silent = now[0] - before[0], now[1] - before[1]
            if refused or silent:
                (self._silent.add if silent > refused else self._silent.discard)(pool.key)
        self._causes = causes
        self._silent &= causes.keys()

    def _message(self, pool: Pool) -> str:
        number = sum(target.weight > 0 for target in pool.targets)
        what = "connections" if pool.protocol == "TCP" else "datagrams"
        wrong = "do not answer" if pool.key in self._silent else f"refuse {what}"
        way_out = "check targetPort and network policies" if pool.key in self._silent else "check targetPort"
        port = f"port {pool.port_name}: " if pool.port_name else ""
        return f"{port}{number} of {number} endpoints {wrong}: {way_out}"
