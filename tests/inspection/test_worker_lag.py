"""What two workers counted of their lateness, read by index."""

from proxy.inspection.worker_lag import read_lags
from proxy.shared_counts.column import Column
from proxy.shared_counts.layout import LAG_BOUNDS, WorkerCell
from proxy.shared_counts.table import SharedTable


def test_each_worker_has_its_own_lateness() -> None:
    table = SharedTable.create(2)
    column = Column(table, 1)
    column.own.counts[WorkerCell.LAG_BUCKETS + 2] = 5
    column.own.counts[WorkerCell.LAG_BUCKETS + len(LAG_BOUNDS)] = 1
    column.own.counts[WorkerCell.LAG_MICROSECONDS] = 2_500_000
    column.flush()
    idle, late = read_lags(table, 2)
    table.close()
    assert (idle.index, sum(idle.counts), idle.seconds) == (0, 0, 0.0)
    assert (late.index, late.seconds) == (1, 2.5)
    assert late.counts == (0, 0, 5, *(0,) * (len(LAG_BOUNDS) - 3), 1)
