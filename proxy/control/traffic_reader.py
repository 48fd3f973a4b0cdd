"""Reads what passed through the pools, for the metrics.

Imports `plan`, `shared_counts`, `admin` and this room. Invariants: the pools of one Service port, whatever their family
or policy, are told as one; what nobody has used is not looked at.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

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
# A member of an enumeration is a slower constant.
_ACTIVE, _INACTIVE = int(EndpointCell.ACTIVE), int(EndpointCell.INACTIVE)


def read_traffic(
    pools: Mapping[str, Pool], table: SharedTable, ledger: RowLedger, drops: DropLedger, *, per_endpoint: bool = False
) -> Traffic:
    """The traffic of these pools, read as it is asked for; with `per_endpoint` that of each endpoint, too."""
    touched = frozenset(table.touched(POOLS))
    used = {key for key, row in ledger.held() if row in touched}
    told = [pools[key] for key in sorted(used.union(drops.pools())) if key in pools]
    return Traffic(_REASONS, _ports(told, table, ledger, drops, per_endpoint))


def _ports(
    used: list[Pool], table: SharedTable, ledger: RowLedger, drops: DropLedger, per_endpoint: bool
) -> Iterator[PortTraffic]:
    for (service, port, protocol), pools in groupby(
        used, key=lambda pool: (pool.service, pool.port_name, pool.protocol)
    ):
        namespace, _, name = service.partition("/")
        total = _Total(table, ledger)
        dropped: Counter[str] = Counter()
        for pool in pools:
            total.add(pool, per_endpoint)
            dropped.update(drops.of(pool.key))
        endpoints = tuple(total.endpoints.values())
        yield PortTraffic(namespace, name, port, protocol, total.open, total.cells, endpoints, dropped)


class _Total:
    """The pools of one Service port, added up; an endpoint that is in several of them is one."""

    def __init__(self, table: SharedTable, ledger: RowLedger) -> None:
        self._table = table
        self._ledger = ledger
        self.cells = [0] * POOLS.width
        self.open = 0
        self.endpoints: dict[str, EndpointTraffic] = {}

    def add(self, pool: Pool, per_endpoint: bool) -> None:
        rows = self._ledger.rows_of(pool.key)
        if rows is None:
            return
        self.cells = _sum(self.cells, self._table.totals(POOLS, rows.pool))
        for row in (*rows.endpoints, *self._ledger.left_of(pool.key)):
            if row != NO_ROW:
                # Two cells of many: to add up all of them would be most of what a scrape costs.
                self.open += self._table.total(ENDPOINTS, row, _ACTIVE) + self._table.total(ENDPOINTS, row, _INACTIVE)
        if per_endpoint:
            self._add_endpoints(pool, rows.endpoints)

    def _add_endpoints(self, pool: Pool, rows: Sequence[int]) -> None:
        for target, row in zip(pool.targets, rows, strict=True):
            cells = self._table.totals(ENDPOINTS, row) if row != NO_ROW else _NOTHING
            name = endpoint_text(target.address, target.port)
            before = self.endpoints.get(name)
            if before is not None:
                cells = _sum(cells, before.cells)
            self.endpoints[name] = EndpointTraffic(name, target.pod, cells)


def _sum(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [first + second for first, second in zip(one, other, strict=True)]
