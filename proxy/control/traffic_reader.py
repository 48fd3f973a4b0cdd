"""Reads what passed through the pools, for the metrics.

Imports `plan`, `shared_counts`, `admin` and this room. Invariants: the pools of one Service port, whatever their family
or policy, are told as one; what nobody has used is not looked at.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from operator import add, attrgetter

from proxy.admin.traffic_report import EndpointTraffic, PortTraffic, Traffic
from proxy.control.drop_ledger import DropLedger
from proxy.control.row_ledger import RowLedger
from proxy.dataplane.addresses import endpoint_text
from proxy.dataplane.close_reason import CloseReason
from proxy.plan.frontend import Pool
from proxy.shared_counts.column import NO_ROW
from proxy.shared_counts.layout import ENDPOINTS, POOLS, EndpointCell
from proxy.shared_counts.table import SharedTable

_REASONS = tuple(reason.value for reason in CloseReason)
_NOTHING = (0,) * ENDPOINTS.width
_EMPTY = (0,) * POOLS.width
# A member of an enumeration is a slower constant.
_OPEN = int(EndpointCell.ACTIVE), int(EndpointCell.INACTIVE)
_PORT = attrgetter("service", "port_name", "protocol")
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
    by_port: dict[tuple[str, str, str], list[Pool]] = {}
    for number, key in enumerate(_used(touched, ledger, drops)):
        pool = pools.get(key)
        if pool is not None:
            by_port.setdefault(_PORT(pool), []).append(pool)
        if number % _AT_ONCE == 0:
            yield None
    for (service, port, protocol), together in by_port.items():
        namespace, _, name = service.partition("/")
        total = _Total(table, ledger, touched)
        for pool in together:
            total.add(pool, per_endpoint)
        dropped = _dropped(together, drops)
        endpoints = tuple(total.endpoints.values())
        yield PortTraffic(namespace, name, port, protocol, total.open, total.cells, endpoints, dropped)


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
        self.cells: Sequence[int] = ()
        self.open = 0
        self.endpoints: dict[str, EndpointTraffic] = {}

    def add(self, pool: Pool, per_endpoint: bool) -> None:
        rows = self._ledger.rows_of(pool.key)
        if rows is None:
            return
        cells = self._table.touched_totals(POOLS, rows.pool) if rows.pool in self._touched else _EMPTY
        self.cells = list(map(add, self.cells, cells)) if self.cells else cells
        # Two cells of many: to add up all of them would be most of what a scrape costs.
        self.open += self._table.total(ENDPOINTS, rows.endpoints + self._ledger.left_of(pool.key), _OPEN)
        if per_endpoint:
            self._add_endpoints(pool, rows.endpoints)

    def _add_endpoints(self, pool: Pool, rows: Sequence[int]) -> None:
        for target, row in zip(pool.targets, rows, strict=True):
            cells = self._table.totals(ENDPOINTS, row) if row != NO_ROW else _NOTHING
            name = endpoint_text(target.address, target.port)
            before = self.endpoints.get(name)
            if before is not None:
                cells = list(map(add, cells, before.cells))
            self.endpoints[name] = EndpointTraffic(name, target.pod, cells)
