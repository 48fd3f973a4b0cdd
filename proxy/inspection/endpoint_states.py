"""How many endpoints of each Service are ready, failing and draining, at a cost that suits a scrape.

Invariant: a Service without an endpoint is there as well, with none ready. Rows in which nothing was counted are not
read, so that Services that nobody uses cost the look at their plan alone.
"""

from collections.abc import Iterator

from proxy.plan.frontend import Pool
from proxy.plan.planner import Planner
from proxy.reports.endpoint_report import ServiceEndpoints
from proxy.shared_counts.column import NO_ROW
from proxy.shared_counts.layout import ENDPOINTS, POOLS, EndpointCell
from proxy.shared_counts.table import SharedTable
from proxy.workers.row_ledger import RowLedger

_FAILING = (int(EndpointCell.FAILING),)
_AT_ONCE = 200
"""Services that are looked at before others may have their turn."""


def endpoint_states(planner: Planner, table: SharedTable, ledger: RowLedger) -> Iterator[ServiceEndpoints | None]:
    """Every Service that has an address to listen on; None in between is a moment for others to have their turn."""
    touched = frozenset(table.touched(POOLS))
    for number, (namespace, name) in enumerate([*planner.services]):
        if number % _AT_ONCE == 0:
            yield None
        plan = planner.plan_of((namespace, name))
        if not plan.frontends:
            continue
        ready, failing, draining = set[str](), set[str](), set[str]()
        for pool in plan.pools:
            refusing = _failing(pool, table, ledger, touched)
            for target in pool.targets:
                place = f"{target.address} {target.port}"
                state = draining if target.weight <= 0 else failing if place in refusing else ready
                state.add(place)
        yield ServiceEndpoints(namespace, name, len(ready - failing), len(failing), len(draining - ready - failing))


def _failing(pool: Pool, table: SharedTable, ledger: RowLedger, touched: frozenset[int]) -> frozenset[str]:
    rows = ledger.rows_of(pool.key)
    if rows is None or rows.pool not in touched:
        return frozenset()
    return frozenset(
        f"{target.address} {target.port}"
        for target, row in zip(pool.targets, rows.endpoints, strict=False)
        if row != NO_ROW and table.total(ENDPOINTS, (row,), _FAILING) > 0
    )
