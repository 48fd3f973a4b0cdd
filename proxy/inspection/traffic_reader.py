"""Reads what passed through the pools, for the metrics.

Invariants: the pools of one Service port, whatever their family or policy, are told as one, with what those had counted
that are gone; what nobody has used is not looked at.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from operator import add

from proxy.capture.drop_ledger import DropLedger
from proxy.dataplane.addresses import endpoint_text
from proxy.dataplane.close_reason import CloseReason
from proxy.dataplane.messages import PoolRows
from proxy.plan.frontend import Pool, ServicePort
from proxy.reports.traffic_report import EndpointTraffic, PortTraffic, Traffic
from proxy.shared_counts.column import NO_ROW
from proxy.shared_counts.layout import ENDPOINTS, POOLS, EndpointCell
from proxy.shared_counts.table import SharedTable
from proxy.workers.row_ledger import RowLedger

_REASONS = tuple(reason.value for reason in CloseReason)
_NOTHING = (0,) * ENDPOINTS.width
_EMPTY = (0,) * POOLS.width
# A member of an enumeration is a slower constant.
_OPEN = int(EndpointCell.ACTIVE), int(EndpointCell.INACTIVE)
_AT_ONCE = 1000
"""Pools that are looked at before others may have their turn."""


def read_traffic(
    pools: Mapping[str, Pool], table: SharedTable, ledger: RowLedger, drops: DropLedger, *, per_endpoint: bool = False
) -> Traffic:
    """The traffic of these pools, read as it is asked for; with `per_endpoint` that of each endpoint, too."""
    return Traffic(_REASONS, _ports(pools, table, ledger, drops, per_endpoint))


def _ports(
    pools: Mapping[str, Pool], table: SharedTable, ledger: RowLedger, drops: DropLedger, per_endpoint: bool
) -> Iterator[PortTraffic | None]:
    touched = frozenset(table.touched(POOLS))
    by_port: dict[ServicePort, list[Pool]] = {port: [] for port in ledger.departed()}
    departing: dict[ServicePort, list[PoolRows]] = {}
    for port, rows in ledger.departing():
        by_port.setdefault(port, [])
        departing.setdefault(port, []).append(rows)
    for number, key in enumerate(_used(touched, ledger, drops)):
        pool = pools.get(key)
        if pool is not None:
            by_port.setdefault(pool.service_port, []).append(pool)
        if number % _AT_ONCE == 0:
            yield None
    for port, together in by_port.items():
        total = _Total(table, ledger, touched)
        for pool in together:
            total.add(pool, per_endpoint)
        if port in ledger.departed():
            total.add_cells(ledger.departed()[port])
        for rows in departing.get(port, ()):
            total.add_rows(rows.pool, rows.endpoints)
        yield total.of(port, _dropped(together, drops))


def _used(touched: Set[int], ledger: RowLedger, drops: DropLedger) -> list[str]:
    """The pools of which anything may have been counted; a list, since there may be others before it is read."""
    dropping = drops.pools()
    return [key for key, row in ledger.held() if row in touched or key in dropping]


def _dropped(pools: Iterable[Pool], drops: DropLedger) -> Mapping[str, int]:
    dropped: dict[str, int] = {}
    for pool in pools:
        for cause, count in drops.of(pool.key).items():
            dropped[cause.value] = dropped.get(cause.value, 0) + count
    return dropped


class _Total:
    """The pools of one Service port, added up; an endpoint that is in several of them is one."""

    def __init__(self, table: SharedTable, ledger: RowLedger, touched: Set[int]) -> None:
        self._table = table
        self._ledger = ledger
        self._touched = touched
        self._cells: Sequence[int] = ()
        self._open = 0
        self._endpoints: dict[str, EndpointTraffic] = {}

    def add(self, pool: Pool, per_endpoint: bool) -> None:
        rows = self._ledger.rows_of(pool.key)
        if rows is None:
            return
        self.add_rows(rows.pool, rows.endpoints + self._ledger.left_of(pool.key))
        if per_endpoint:
            self._add_endpoints(pool, rows.endpoints)

    def add_rows(self, pool: int, endpoints: Sequence[int]) -> None:
        """What was counted in a pool's row, and what is open in its endpoints'."""
        if pool in self._touched:
            self.add_cells(self._table.touched_totals(POOLS, pool))
        # Two cells of many: to add up all of them would be most of what a scrape costs.
        self._open += self._table.total(ENDPOINTS, endpoints, _OPEN)

    def add_cells(self, cells: Sequence[int]) -> None:
        self._cells = list(map(add, self._cells, cells)) if self._cells else cells

    def of(self, port: ServicePort, dropped: Mapping[str, int]) -> PortTraffic:
        """All of it as the traffic of a port."""
        service, name, protocol = port
        namespace, _, service = service.partition("/")
        endpoints = tuple(self._endpoints.values())
        return PortTraffic(namespace, service, name, protocol, self._open, self._cells or _EMPTY, endpoints, dropped)

    def _add_endpoints(self, pool: Pool, rows: Sequence[int]) -> None:
        for target, row in zip(pool.targets, rows, strict=True):
            cells = self._table.totals(ENDPOINTS, row) if row != NO_ROW else _NOTHING
            name = endpoint_text(target.address, target.port)
            before = self._endpoints.get(name)
            if before is not None:
                cells = list(map(add, cells, before.cells))
            self._endpoints[name] = EndpointTraffic(name, target.pod, cells)
