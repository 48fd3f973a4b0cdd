"""How late the data planes come to what is due, as they count it in the shared table.

Invariant: reads only.
"""

from proxy.reports.report import WorkerLag
from proxy.shared_counts.layout import LAG_BOUNDS, WORKERS, WorkerCell
from proxy.shared_counts.table import SharedTable


def read_lags(table: SharedTable, workers: int) -> tuple[WorkerLag, ...]:
    """Of each worker, by index."""
    return tuple(_lag(table, worker) for worker in range(workers))


def _lag(table: SharedTable, worker: int) -> WorkerLag:
    cells = table.column_of(WORKERS, 0, worker)
    counts = cells[WorkerCell.LAG_BUCKETS : WorkerCell.LAG_BUCKETS + len(LAG_BOUNDS) + 1]
    return WorkerLag(worker, tuple(counts), cells[WorkerCell.LAG_MICROSECONDS] / 1e6)
